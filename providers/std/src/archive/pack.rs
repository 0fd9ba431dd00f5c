//! Entries to bytes: every moment in an archive is the same, and the order is that of the paths.

use super::sources::Entries;
use crate::kit::bug;
use flate2::{Compression, GzBuilder};
use groma_provider::ProviderError;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Seconds since 1970: the start of 1980, the first moment that a zip can tell.
const MOMENT: u64 = 315_532_800;

fn failed(error: impl std::fmt::Display) -> ProviderError {
    bug(format!("the archive can't be made: {error}"))
}

pub(super) fn zip(entries: &Entries) -> Result<Vec<u8>, ProviderError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    for (name, entry) in entries {
        archive.start_file(name, options.unix_permissions(entry.mode)).map_err(failed)?;
        archive.write_all(&entry.bytes).map_err(failed)?;
    }
    Ok(archive.finish().map_err(failed)?.into_inner())
}

pub(super) fn tar_gz(entries: &Entries) -> Result<Vec<u8>, ProviderError> {
    let gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(MOMENT);
        archive.append_data(&mut header, name, entry.bytes.as_slice()).map_err(failed)?;
    }
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(failed)
}
