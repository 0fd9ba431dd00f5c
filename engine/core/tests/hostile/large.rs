//! Files that are larger than any spec.

use groma_engine::config::load::{DiskFiles, LoadRequest, load};

/// What each syntax has most of.
const KINDS: [(&str, &str, &str); 4] = [
    ("a.yaml", "locals:\n", "  a: [1, 2, 3]\n"),
    ("a.tf", "locals {\n", "  a = [1, 2, 3]\n"),
    ("a.tf.json", "{\"locals\":{", "\"a\":[1,2,3],"),
    ("a.auto.vars.yaml", "a:\n", "  - 1\n"),
];

#[test]
fn fifty_megabytes_are_an_error_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, head, line) in KINDS {
        let stack = folder.path().join(name.replace('.', "-"));
        std::fs::create_dir(&stack).unwrap();
        std::fs::write(stack.join(name), format!("{head}{}", line.repeat((50 << 20) / line.len()))).unwrap();
        let files = &DiskFiles;
        let mut told = String::new();
        let info = allocation_counter::measure(|| {
            told = match name.ends_with(".vars.yaml") {
                true => groma_engine::config::load::FileReader::read(files, &stack.join(name))
                    .unwrap_err()
                    .to_string(),
                false => {
                    let (config, _, faults) = load(LoadRequest { path: &stack, files });
                    assert!(config.is_none());
                    faults.iter().map(|f| format!("{} {}", f.code, f.detail)).collect()
                }
            };
        });
        assert!(told.contains("more than 32 MiB"), "{name}: {told}");
        assert!(info.bytes_max < 100 << 20, "{name}: {} bytes at once", info.bytes_max);
    }
}
