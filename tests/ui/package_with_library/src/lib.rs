//! A package with a library and a program.
