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
}

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

fn section_of_program(data: &[u8]) -> object::Result<Vec<u8>> {
    let file = File::parse(data)?;
    let mut bytes = Vec::new();
    for section in file.sections() {
        if matches!(section.name()?, SECTION | SECTION_MACHO) {
            bytes.extend_from_slice(section.data()?);
        }
    }
    Ok(bytes)
}

/// The lines in sorted order, because linkers order them arbitrarily.
fn lines(section: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = record::lines(section).collect();
    lines.sort_unstable();
    lines
}
