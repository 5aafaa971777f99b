//! The `.stepup` link section in the bytes of a compiled program: an ELF, Mach-O or PE file.

use crate::link_section::record::{self, SECTION, SECTION_MACHO};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object, ObjectSection};
use thiserror::Error;

/// Why a program's section cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ObjectFileError {
    /// Not a program, or one in an unknown format.
    #[error("is not a readable program ({0}); pass a compiled ELF, Mach-O or PE file")]
    Format(object::Error),
    /// A universal file whose programs have different contracts.
    #[error(
        "contains programs for several architectures whose contracts differ; export each of them"
    )]
    Differs,
    /// More programs or sections than a linker writes.
    #[error("{0}; pass a file that a linker has written")]
    Excessive(&'static str),
}

/// The most programs in a universal file. Apple's tools write one for each of a handful of architectures.
const MOST_SLICES: usize = 16;

/// The most `.stepup` sections of a program. Linkers write one.
const MOST_SECTIONS: usize = 1024;

impl From<object::Error> for ObjectFileError {
    fn from(error: object::Error) -> Self {
        Self::Format(error)
    }
}

/// Whether these bytes start like a program.
pub fn is_program(data: &[u8]) -> bool {
    FileKind::parse(data).is_ok()
}

/// The bytes of this program's `.stepup` section, for
/// [`Contract::from_section`](crate::Contract::from_section); empty if it has none.
///
/// # Errors
/// If these bytes are not a program, or are several programs with different contracts.
pub fn section(data: &[u8]) -> Result<Vec<u8>, ObjectFileError> {
    let slices = slices(data)?;
    let mut found: Option<Vec<u8>> = None;
    for slice in slices {
        let section = section_of_program(slice)?;
        match &found {
            Some(first) if lines(first) != lines(&section) => return Err(ObjectFileError::Differs),
            _ => found = Some(section),
        }
    }
    Ok(found.unwrap_or_default())
}

/// The file itself, or the programs in a universal Mach-O file.
fn slices(data: &[u8]) -> Result<Vec<&[u8]>, ObjectFileError> {
    fn each<'a>(data: &'a [u8], arches: &[impl FatArch]) -> Result<Vec<&'a [u8]>, ObjectFileError> {
        if arches.len() > MOST_SLICES {
            return Err(ObjectFileError::Excessive("contains more than 16 programs"));
        }
        arches.iter().map(|arch| arch.data(data).map_err(ObjectFileError::from)).collect()
    }
    match FileKind::parse(data)? {
        FileKind::MachOFat32 => each(data, MachOFatFile32::parse(data)?.arches()),
        FileKind::MachOFat64 => each(data, MachOFatFile64::parse(data)?.arches()),
        _ => Ok(vec![data]),
    }
}

fn section_of_program(data: &[u8]) -> Result<Vec<u8>, ObjectFileError> {
    let file = File::parse(data)?;
    let mut bytes = Vec::new();
    let mut number = 0;
    for section in file.sections() {
        if !matches!(section.name()?, SECTION | SECTION_MACHO) {
            continue;
        }
        number += 1;
        let section = section.data()?;
        // Several headers can refer to the same bytes.
        if number > MOST_SECTIONS || bytes.len() + section.len() > data.len() {
            return Err(ObjectFileError::Excessive(
                "has more .stepup sections than fit into the file",
            ));
        }
        bytes.extend_from_slice(section);
    }
    Ok(bytes)
}

/// The lines in sorted order, because linkers order them arbitrarily.
fn lines(section: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = record::lines(section).collect();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit ELF file with this many section headers for the same bytes.
    fn elf(sections: u16, bytes: usize) -> Vec<u8> {
        let names = b"\0.stepup\0";
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let headers = 64 + names.len() + bytes;
        for (value, size) in [
            (2, 2),
            (62, 2),
            (1, 4),
            (0, 8),
            (0, 8),
            (headers, 8),
            (0, 4),
            (64, 2),
            (0, 2),
            (0, 2),
            (64, 2),
            (usize::from(sections) + 2, 2),
            (1, 2),
        ] {
            file.extend_from_slice(&value.to_le_bytes()[..size]);
        }
        file.extend_from_slice(names);
        file.extend(std::iter::repeat_n(b'\n', bytes));
        let mut header = |name: usize, kind: usize, at: usize, size: usize| {
            for (value, size) in [
                (name, 4),
                (kind, 4),
                (0, 8),
                (0, 8),
                (at, 8),
                (size, 8),
                (0, 4),
                (0, 4),
                (1, 8),
                (0, 8),
            ] {
                file.extend_from_slice(&value.to_le_bytes()[..size]);
            }
        };
        // The second section contains the names of the sections.
        header(0, 0, 0, 0);
        header(0, 3, 64, names.len());
        for _ in 0..sections {
            header(1, 1, 64 + names.len(), bytes);
        }
        file
    }

    #[test]
    fn headers_that_share_their_bytes_do_not_multiply_them() {
        assert_eq!(section(&elf(1, 5)).unwrap(), b"\n\n\n\n\n");
        let error = section(&elf(50_000, 200_000)).unwrap_err().to_string();
        assert!(error.contains("more .stepup sections than fit into the file"), "{error}");
        let error = section(&elf(2000, 0)).unwrap_err().to_string();
        assert!(error.contains("more .stepup sections"), "{error}");
    }

    #[test]
    fn a_universal_file_has_a_limited_number_of_programs() {
        let mut file = 0xcafe_babe_u32.to_be_bytes().to_vec();
        file.extend_from_slice(&1000_u32.to_be_bytes());
        for _ in 0..1000 {
            for value in [7_u32, 3, 0, 20_000, 0] {
                file.extend_from_slice(&value.to_be_bytes());
            }
        }
        let error = section(&file).unwrap_err().to_string();
        assert!(error.contains("more than 16 programs"), "{error}");
    }
}
