//! Unpacks archives, counting while it does.
//!
//! Invariant: an entry is written only after a [`Guard`] let it pass, and no more of it than the limits leave.

use crate::address::ArchiveKind;
use crate::tree::{Guard, Kind, Limits, seal};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

/// Bytes of headers and padding that an entry may cost beside its content.
const ENTRY_OVERHEAD: u64 = 4096;

/// Unpacks an archive into an empty folder.
///
/// # Errors
/// Why it can't be unpacked, as a half sentence.
pub fn unpack(archive: File, kind: ArchiveKind, into: &Path, limits: Limits) -> Result<(), String> {
    let mut unpacker = Unpacker { guard: Guard::new(limits), into };
    let reader = BufReader::new(archive);
    match kind {
        ArchiveKind::Zip => unpacker.zip(reader),
        ArchiveKind::Tar => unpacker.tar(reader, limits),
        ArchiveKind::TarGz => unpacker.tar(flate2::read::MultiGzDecoder::new(reader), limits),
        ArchiveKind::TarBz2 => unpacker.tar(bzip2::read::MultiBzDecoder::new(reader), limits),
        ArchiveKind::TarXz => {
            unpacker.tar(lzma_rust2::XzReader::new_mem_limit(reader, true, 128 << 10), limits)
        }
    }
}

struct Unpacker<'a> {
    guard: Guard,
    into: &'a Path,
}

impl Unpacker<'_> {
    fn zip(&mut self, reader: BufReader<File>) -> Result<(), String> {
        let broken = |e: zip::result::ZipError| format!("it is no sound zip archive: {e}");
        let mut archive = zip::ZipArchive::new(reader).map_err(broken)?;
        if archive.has_duplicate_names() {
            return Err("it holds two entries with one name".into());
        }
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(broken)?;
            if entry.encrypted() {
                return Err("it is encrypted".into());
            }
            let name =
                String::from_utf8(entry.name_raw().to_vec()).map_err(|_| "a name in it is not UTF-8")?;
            let mode = entry.unix_mode().unwrap_or(0);
            let format = mode & 0o170_000;
            let kind = match () {
                () if entry.is_dir() => Kind::Folder,
                () if entry.is_symlink() => Kind::Link,
                () if format != 0 && format != 0o100_000 => {
                    return Err(format!("{name:?} is neither a file, a folder nor a link"));
                }
                () if mode & 0o111 != 0 => Kind::Executable,
                () => Kind::File,
            };
            self.write(&name, kind, &mut entry)?;
        }
        Ok(())
    }

    fn tar(&mut self, reader: impl Read, limits: Limits) -> Result<(), String> {
        // Long names and padding are read before an entry can be counted.
        let most = limits.bytes.saturating_add(limits.entries.saturating_mul(ENTRY_OVERHEAD));
        let mut archive = tar::Archive::new(Ends { inner: reader, left: most });
        let broken = |e: io::Error| format!("it is no sound tar archive: {e}");
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| "a name in it is not UTF-8")?;
            let mode = entry.header().mode().unwrap_or(0);
            use tar::EntryType as Type;
            match entry.header().entry_type() {
                Type::Directory => self.write(&name, Kind::Folder, &mut io::empty())?,
                Type::Regular | Type::Continuous => {
                    let kind = if mode & 0o111 != 0 { Kind::Executable } else { Kind::File };
                    self.write(&name, kind, &mut entry)?;
                }
                Type::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    self.write(&name, Kind::Link, &mut &target[..])?;
                }
                // Remarks on the archive as a whole.
                Type::XGlobalHeader => {}
                _ => return Err(format!("{name:?} is neither a file, a folder nor a symbolic link")),
            }
        }
        Ok(())
    }

    fn write(&mut self, name: &str, kind: Kind, content: &mut dyn Read) -> Result<(), String> {
        let Some(path) = self.guard.entry(name, kind)? else { return Ok(()) };
        let at = self.into.join(&path);
        let failed = |e: io::Error| format!("{path:?} can't be unpacked: {e}");
        match kind {
            Kind::Folder => return fs::create_dir_all(&at).map_err(failed),
            Kind::Link => {
                let mut target = String::new();
                content.take(ENTRY_OVERHEAD).read_to_string(&mut target).map_err(failed)?;
                self.guard.link(&path, &target)?;
                parent_of(&at).map_err(failed)?;
                return make_link(&target, &at).map_err(failed);
            }
            Kind::File | Kind::Executable => parent_of(&at).map_err(failed)?,
        }
        let mut file = File::create_new(&at).map_err(failed)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = content.read(&mut buffer).map_err(failed)?;
            if n == 0 {
                break;
            }
            self.guard.content(n as u64)?;
            file.write_all(&buffer[..n]).map_err(failed)?;
        }
        seal(&at, kind).map_err(failed)
    }
}

fn parent_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

#[cfg(unix)]
fn make_link(target: &str, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(not(unix))]
fn make_link(_: &str, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "links are not made on this system"))
}

/// A reader that fails instead of giving more than it may.
struct Ends<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Ends<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(n as u64).ok_or_else(|| io::Error::other("it unpacks to too much"))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::unpack;
    use crate::address::ArchiveKind;
    use crate::tree::Limits;
    use std::fs::File;
    use std::io::Write;

    const LIMITS: Limits = Limits { entries: 10, bytes: 1 << 20, download_bytes: 1 << 20 };

    /// What becomes of an archive: the files below the folder, or why not.
    fn outcome(bytes: &[u8], kind: ArchiveKind) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let archive = dir.path().join("archive");
        std::fs::write(&archive, bytes).expect("written");
        let into = dir.path().join("into");
        std::fs::create_dir(&into).expect("made");
        let done = unpack(File::open(&archive).expect("there"), kind, &into, LIMITS);
        let beside = std::fs::read_dir(dir.path()).expect("read").count();
        assert_eq!(beside, 2, "something was written beside the folder");
        done?;
        let mut names: Vec<String> = std::fs::read_dir(&into)
            .expect("read")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    fn tar_of(entries: &[(&str, tar::EntryType, &[u8], &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content, link) in entries {
            let mut header = tar::Header::new_gnu();
            // Past the checks of the library, as a hostile archive would be made.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *content).expect("appended");
        }
        builder.into_inner().expect("made")
    }

    #[test]
    fn sound_archives_of_every_kind_unpack() {
        use tar::EntryType as T;
        let tar = tar_of(&[
            ("a", T::Regular, b"one", ""),
            ("d/b", T::Regular, b"two", ""),
            ("l", T::Symlink, b"", "d/b"),
        ]);
        assert_eq!(outcome(&tar, ArchiveKind::Tar).expect("sound"), ["a", "d", "l"]);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).expect("written");
        assert_eq!(outcome(&gz.finish().expect("made"), ArchiveKind::TarGz).expect("sound").len(), 3);
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&tar).expect("written");
        assert_eq!(outcome(&bz.finish().expect("made"), ArchiveKind::TarBz2).expect("sound").len(), 3);
        assert!(outcome(&tar, ArchiveKind::Zip).is_err());
        assert!(outcome(b"no archive", ArchiveKind::TarXz).is_err());
    }

    #[test]
    fn hostile_tar_archives_are_refused() {
        use tar::EntryType as T;
        for (entries, word) in [
            (vec![("../x", T::Regular, &b"1"[..], "")], "upwards"),
            (vec![("/tmp/x", T::Regular, b"1", "")], "absolute"),
            (vec![("l", T::Symlink, b"", "/etc")], "outside"),
            (vec![("l", T::Symlink, b"", "../..")], "outside"),
            (vec![("l", T::Symlink, b"", "d"), ("l/x", T::Regular, b"1", "")], "behind the link"),
            (vec![("h", T::Link, b"", "/etc/passwd")], "neither"),
            (vec![("dev", T::Char, b"", "")], "neither"),
            (vec![("pipe", T::Fifo, b"", "")], "neither"),
            (vec![("a", T::Regular, b"1", ""), ("a", T::Regular, b"2", "")], "twice"),
            (vec![("a", T::Regular, b"1", ""), ("A", T::Regular, b"2", "")], "case"),
            (vec![("a", T::Regular, &[0; (1 << 20) + 1], "")], "more than"),
            ((0..11).map(|_| ("d", T::Directory, &b""[..], "")).collect(), "more than"),
        ] {
            let why = outcome(&tar_of(&entries), ArchiveKind::Tar).expect_err(word);
            assert!(why.contains(word), "{word}: {why}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_while_it_unpacks() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&tar_of(&[("a", tar::EntryType::Regular, &vec![0; 4 << 20], "")])).expect("written");
        let bomb = gz.finish().expect("made");
        assert!(bomb.len() < 64 << 10);
        assert!(outcome(&bomb, ArchiveKind::TarGz).expect_err("too much").contains("more than"));
    }

    #[test]
    fn hostile_zip_archives_are_refused() {
        use zip::write::SimpleFileOptions;
        let zip_of = |entries: &[(&str, &[u8], Option<u32>)]| {
            let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            for (name, content, mode) in entries {
                let options =
                    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
                let options = mode.map_or(options, |m| options.unix_permissions(m));
                writer.start_file(*name, options).expect("started");
                writer.write_all(content).expect("written");
            }
            writer.finish().expect("made").into_inner()
        };
        assert_eq!(
            outcome(&zip_of(&[("a", b"1", None), ("d/b", b"2", None)]), ArchiveKind::Zip).expect("sound"),
            ["a", "d"]
        );
        for (name, word) in [("../x", "upwards"), ("/x", "absolute"), ("a\\x", "character")] {
            let why = outcome(&zip_of(&[(name, b"1", None)]), ArchiveKind::Zip).expect_err(word);
            assert!(why.contains(word), "{word}: {why}");
        }
        let bomb = zip_of(&[("a", &vec![0; 4 << 20], None)]);
        assert!(outcome(&bomb, ArchiveKind::Zip).expect_err("too much").contains("more than"));
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.add_symlink("l", "../../etc", SimpleFileOptions::default()).expect("added");
        let link = writer.finish().expect("made").into_inner();
        assert!(outcome(&link, ArchiveKind::Zip).expect_err("a link").contains("outside"));
        // Two entries with one name: the second one's name is overwritten in both places where it stands.
        let mut twice = zip_of(&[("name-a", b"1", None), ("name-b", b"2", None)]);
        while let Some(at) = twice.windows(6).position(|w| w == b"name-b") {
            twice[at..at + 6].copy_from_slice(b"name-a");
        }
        assert!(outcome(&twice, ArchiveKind::Zip).expect_err("twice").contains("one name"));
    }
}
