//! Finds the `.stepup` link section in an ELF, Mach-O or PE file.

use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object, ObjectSection};
use std::path::{Path, PathBuf};
use std::{fs, io};
use stepup_contract::record::{SECTION, SECTION_MACHO};
use thiserror::Error;

/// Why a file's section cannot be had.
#[derive(Debug, Error)]
pub(crate) enum BinaryError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(
        "{path} is not a program that can be read ({why}); give a compiled ELF, Mach-O or PE file"
    )]
    Format { path: PathBuf, why: String },
    #[error(
        "{path} holds programs for several architectures, and their contracts differ; \
         export each of them"
    )]
    Differs { path: PathBuf },
}

/// The bytes of the file's `.stepup` section; empty when it has none.
pub(crate) fn section(path: &Path) -> Result<Vec<u8>, BinaryError> {
    let data = fs::read(path).map_err(|error| BinaryError::Io { path: path.into(), error })?;
    section_of(&data, path)
}

/// Whether these bytes begin like a program.
pub(crate) fn is_program(data: &[u8]) -> bool {
    FileKind::parse(data).is_ok()
}

/// The bytes of this program's `.stepup` section; empty when it has none.
pub(crate) fn section_of(data: &[u8], path: &Path) -> Result<Vec<u8>, BinaryError> {
    let unreadable =
        |why: object::Error| BinaryError::Format { path: path.into(), why: why.to_string() };
    let slices = slices(data).map_err(unreadable)?;
    let mut found: Option<Vec<u8>> = None;
    for slice in slices {
        let section = of_program(slice).map_err(unreadable)?;
        match &found {
            Some(first) if lines(first) != lines(&section) => {
                return Err(BinaryError::Differs { path: path.into() });
            }
            _ => found = Some(section),
        }
    }
    Ok(found.unwrap_or_default())
}

/// The file itself, or the programs in a universal Mach-O file.
fn slices(data: &[u8]) -> object::Result<Vec<&[u8]>> {
    fn each<'a>(data: &'a [u8], arches: &[impl FatArch]) -> object::Result<Vec<&'a [u8]>> {
        arches.iter().map(|arch| arch.data(data)).collect()
    }
    match FileKind::parse(data)? {
        FileKind::MachOFat32 => each(data, MachOFatFile32::parse(data)?.arches()),
        FileKind::MachOFat64 => each(data, MachOFatFile64::parse(data)?.arches()),
        _ => Ok(vec![data]),
    }
}

fn of_program(data: &[u8]) -> object::Result<Vec<u8>> {
    let file = File::parse(data)?;
    let mut bytes = Vec::new();
    for section in file.sections() {
        if matches!(section.name()?, SECTION | SECTION_MACHO) {
            bytes.extend_from_slice(section.data()?);
        }
    }
    Ok(bytes)
}

/// The lines in one order, since linkers order them as they like.
fn lines(section: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = stepup_contract::record::lines(section).collect();
    lines.sort_unstable();
    lines
}
