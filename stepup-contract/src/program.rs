//! The `.stepup` link section of a compiled program: an ELF, Mach-O or PE file. Pure: bytes in, bytes out.

use crate::record::{self, SECTION, SECTION_MACHO};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{File, FileKind, Object, ObjectSection};
use thiserror::Error;

/// Why a program's section cannot be had.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is no program, or one of a kind that is not known.
    #[error("is not a program that can be read ({0}); give a compiled ELF, Mach-O or PE file")]
    Format(String),
    /// A universal file whose programs say different things.
    #[error(
        "holds programs for several architectures, and their contracts differ; export each of them"
    )]
    Differs,
}

/// Whether these bytes begin like a program.
pub fn is_program(data: &[u8]) -> bool {
    FileKind::parse(data).is_ok()
}

/// The bytes of this program's `.stepup` section, for
/// [`Contract::from_section`](crate::Contract::from_section); empty when it has none.
///
/// # Errors
/// When these bytes are no program, or programs that differ.
pub fn section(data: &[u8]) -> Result<Vec<u8>, ProgramError> {
    let unreadable = |why: object::Error| ProgramError::Format(why.to_string());
    let slices = slices(data).map_err(unreadable)?;
    let mut found: Option<Vec<u8>> = None;
    for slice in slices {
        let section = of_program(slice).map_err(unreadable)?;
        match &found {
            Some(first) if lines(first) != lines(&section) => return Err(ProgramError::Differs),
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
    let mut lines: Vec<&[u8]> = record::lines(section).collect();
    lines.sort_unstable();
    lines
}
