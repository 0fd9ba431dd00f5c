//! Module sources as Terraform writes them, each read into what is to be fetched.
//!
//! Invariant: what comes out holds no control character, no blank, and no part that a program could take for an option.

use crate::{Fault, fault_with_help};
use url::Url;

/// A source that is not a folder beside the caller: a package, and the module's folder in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub package: Package,
    /// The folder after `//`; empty for the package's own. A part may be `*`: the one folder there.
    pub folder: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Package {
    Registry(RegistryModule),
    Git(GitRepository),
    Archive(Archive),
    /// An address that answers where the package is (`X-Terraform-Get`).
    Web(Url),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryModule {
    pub host: String,
    pub namespace: String,
    pub name: String,
    pub provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitRepository {
    pub url: Url,
    /// Branch, tag or commit.
    pub reference: Option<String>,
    pub depth: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archive {
    pub url: Url,
    pub kind: ArchiveKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArchiveKind {
    Zip,
    Tar,
    TarGz,
    TarBz2,
    TarXz,
}

/// Where a source stands: what the user wrote may name more than what came from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The stack, and what a registry on this machine says.
    Own,
    /// A fetched module, or a server's answer.
    Foreign,
}

/// Terraform's public registry, which addresses without a host mean.
pub const PUBLIC_REGISTRY: &str = "registry.terraform.io";

const FORMS: &str = "A source is ./FOLDER, NAMESPACE/NAME/PROVIDER of a registry, git::https://…, git::ssh://…, \
                     git@HOST:PATH, github.com/OWNER/REPO, bitbucket.org/OWNER/REPO, or https://….zip or .tar.gz.";

fn wrong(source: &str, why: &str) -> Fault {
    let detail = format!("{:?} {why}.", without_secrets(source));
    fault_with_help("G0520", "Not a module source", detail, FORMS)
}

fn unsupported(source: &str, why: &str) -> Fault {
    let help = "Publish the module in a git repository, as an https archive or in a registry, or copy it into the stack.";
    let detail = format!("{:?} {why}.", without_secrets(source));
    fault_with_help("G0521", "A kind of module source that is not fetched", detail, help)
}

/// Reads a source that is not local.
///
/// # Errors
/// It is none, or one of a kind that is not fetched.
pub fn parse(source: &str, version: Option<&str>, trust: Trust) -> Result<Address, Fault> {
    if let Some(c) = source.chars().find(|c| c.is_control() || c.is_whitespace() || is_invisible(*c)) {
        return Err(wrong(source, &format!("holds the character {c:?}")));
    }
    let (text, folder, query) = split(source).map_err(|why| wrong(source, why))?;
    let registry = registry(text);
    if query.is_empty()
        && let Some(module) = &registry
    {
        return Ok(Address { package: Package::Registry(module.clone()), folder });
    }
    if version.is_some() {
        return Err(fault_with_help(
            "G0522",
            "A version without a registry",
            format!(
                "{:?} is no module of a registry, and only those have versions.",
                without_secrets(source)
            ),
            "Take version out; in a git source say which one by ?ref=TAG.",
        ));
    }
    let (package, more) = remote(source, text, query, trust)?;
    let folder = [more, folder].iter().filter(|f| !f.is_empty()).cloned().collect::<Vec<_>>().join("/");
    Ok(Address { package, folder })
}

/// Characters that turn the direction of text round or are not seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Package, folder inside, and query: `git::https://h/r.git//folder?ref=v1`.
fn split(source: &str) -> Result<(&str, String, &str), &'static str> {
    let (path, query) = source.split_once('?').unwrap_or((source, ""));
    let from = path.find("://").map_or(0, |at| at + 3);
    let Some(at) = path[from..].find("//") else { return Ok((path, String::new(), query)) };
    let folder = clean_folder(&path[from + at + 2..])?;
    Ok((&path[..from + at], folder, query))
}

fn clean_folder(folder: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    match parts.iter().any(|p| *p == ".." || p.contains('\\')) {
        true => Err("leads out of its package"),
        false => Ok(parts.join("/")),
    }
}

// ---- registries ----------------------------------------------------------------------------------------------------

fn registry(text: &str) -> Option<RegistryModule> {
    let parts: Vec<&str> = text.split('/').collect();
    let (host, rest) = match parts.len() {
        3 => (PUBLIC_REGISTRY.to_string(), &parts[..]),
        4 => (registry_host(parts[0])?, &parts[1..]),
        _ => return None,
    };
    let is_name = |t: &str| {
        t.len() <= 64
            && t.starts_with(|c: char| c.is_ascii_alphanumeric())
            && t.ends_with(|c: char| c.is_ascii_alphanumeric())
            && t.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    let is_provider = |t: &str| {
        !t.is_empty() && t.len() <= 64 && t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !is_name(rest[0]) || !is_name(rest[1]) || !is_provider(rest[2]) {
        return None;
    }
    let [namespace, name, provider] = [rest[0], rest[1], rest[2]].map(String::from);
    Some(RegistryModule { host, namespace, name, provider })
}

/// A host with an optional port. The hosts of repositories are none of registries.
fn registry_host(text: &str) -> Option<String> {
    let (name, port) = text.split_once(':').unwrap_or((text, "443"));
    let is_host = name.contains('.')
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    let is_taken = matches!(name, "github.com" | "bitbucket.org");
    (is_host && !is_taken && port.parse::<u16>().is_ok()).then(|| text.to_lowercase())
}

// ---- everything else -----------------------------------------------------------------------------------------------

type Remote = Result<(Package, String), Fault>;

fn remote(source: &str, text: &str, query: &str, trust: Trust) -> Remote {
    let (forced, rest) = match text.split_once("::") {
        Some((getter, rest)) if getter.chars().all(|c| c.is_ascii_alphanumeric()) => (Some(getter), rest),
        _ => (None, text),
    };
    match forced {
        Some("git") => return git(source, rest, query, trust),
        Some("https") | None => {}
        Some("http") => {}
        Some(getter @ ("hg" | "s3" | "gcs")) => {
            return Err(unsupported(source, &format!("is fetched by {getter}::, which is not built in")));
        }
        Some(getter) => {
            return Err(wrong(source, &format!("begins with {getter}::, which is no way to fetch")));
        }
    }
    if let Some((package, folder)) = shorthand(rest, query) {
        return git(source, &package, query, trust).map(|(package, _)| (package, folder));
    }
    if rest.contains("amazonaws.com/") || rest.starts_with("www.googleapis.com/storage") {
        return Err(unsupported(source, "lies in a store of objects, whose own protocol is not built in"));
    }
    if is_scp_like(rest) {
        return git(source, rest, query, trust);
    }
    match rest.split_once("://").map(|(scheme, _)| scheme) {
        Some("https" | "http") => web(source, rest, query, trust).map(|package| (package, String::new())),
        Some("ssh") => Err(wrong(source, "is no git source yet: write git:: before it")),
        Some("file") => Err(unsupported(source, "is a folder of this machine")),
        Some(scheme) => Err(wrong(source, &format!("has the scheme {scheme:?}, which is not fetched"))),
        None if rest.starts_with('/') || rest.starts_with('~') => Err(wrong(
            source,
            "is an absolute path: name the folder by its way from here, as ./FOLDER or ../FOLDER",
        )),
        None => Err(wrong(
            source,
            "is neither a folder's way (that begins with ./ or ../), nor a registry's address, nor one of a repository",
        )),
    }
}

/// `github.com/owner/repo/folder` and the same at Bitbucket: the repository, and the folder in it.
fn shorthand(text: &str, _query: &str) -> Option<(String, String)> {
    let mut parts = text.split('/');
    let host = parts.next().filter(|h| matches!(*h, "github.com" | "bitbucket.org"))?;
    let (owner, repo) = (parts.next()?, parts.next().filter(|r| !r.is_empty())?);
    let repo = repo.strip_suffix(".git").unwrap_or(repo);
    let folder = clean_folder(&parts.collect::<Vec<_>>().join("/")).ok()?;
    Some((format!("https://{host}/{owner}/{repo}.git"), folder))
}

fn is_scp_like(text: &str) -> bool {
    text.strip_prefix("git@").is_some_and(|rest| !rest.contains("://") && rest.contains(':'))
}

fn git(source: &str, text: &str, query: &str, trust: Trust) -> Remote {
    if text.starts_with('-') || text.contains("::") {
        return Err(wrong(source, "is no address that git may be given"));
    }
    let (text, folder) = match shorthand(text, query) {
        Some((url, folder)) => (url, folder),
        None if text.starts_with('/') => (format!("file://{text}"), String::new()),
        None => (scp_as_url(text).unwrap_or_else(|| text.to_string()), String::new()),
    };
    let mut url = Url::parse(&text).map_err(|e| wrong(source, &format!("is no address: {e}")))?;
    match url.scheme() {
        "https" | "ssh" => {}
        "file" if trust == Trust::Own => {}
        "file" | "http" if trust == Trust::Foreign => {
            return Err(unsupported(source, "is a place that a fetched module may not name"));
        }
        "http" | "git" => {
            return Err(unsupported(source, "is not encrypted: write git::https:// or git::ssh://"));
        }
        scheme => {
            return Err(wrong(source, &format!("has the scheme {scheme:?}; git is asked by https and ssh")));
        }
    }
    check_host(source, &url)?;
    let (mut reference, mut depth) = (None, None);
    let mut kept = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "ref" if value.is_empty() => {}
            "ref" => reference = Some(checked_ref(source, &value)?),
            "depth" => {
                let number = value.parse().ok().filter(|n: &u32| *n > 0);
                depth = Some(number.ok_or_else(|| wrong(source, "has a depth that is no positive number"))?);
            }
            "sshkey" => {
                return Err(unsupported(
                    source,
                    "carries a key: give it to your ssh agent or ssh configuration",
                ));
            }
            "archive" => return Err(wrong(source, "asks for an archive of a git repository")),
            _ => kept.push((key.into_owned(), value.into_owned())),
        }
    }
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok((Package::Git(GitRepository { url, reference, depth }), folder))
}

/// `git@host:path`, which git takes for ssh.
fn scp_as_url(text: &str) -> Option<String> {
    if text.contains("://") {
        return None;
    }
    let (user_host, path) = text.split_once(':')?;
    let (user, host) = user_host.split_once('@')?;
    Some(format!("ssh://{user}@{host}/{}", path.trim_start_matches('/')))
}

fn check_host(source: &str, url: &Url) -> Result<(), Fault> {
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "file" && (host.is_empty() || host.starts_with('-')) {
        return Err(wrong(source, "has no host that could be asked"));
    }
    if url.username().starts_with('-') || url.username().starts_with("%2d") || url.path().starts_with("/-") {
        return Err(wrong(source, "has a part that could be taken for an option"));
    }
    let is_odd = |c: char| c == '`' || c == '\\' || c == '$' || c == ';' || c == '|';
    if url.path().contains(is_odd) || url.username().contains(is_odd) {
        return Err(wrong(source, "has characters that no repository's address needs"));
    }
    Ok(())
}

/// A branch, tag or commit, by git's own rules for names.
fn checked_ref(source: &str, name: &str) -> Result<String, Fault> {
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let is_name = !name.is_empty()
        && name.len() <= 250
        && !name.starts_with(['-', '/', '+'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && !["..", "@{", "//"].iter().any(|bad| name.contains(bad))
        && !name.contains(is_odd);
    match is_name {
        true => Ok(name.to_string()),
        false => {
            Err(wrong(source, &format!("has the ref {name:?}, which is no name of a branch, tag or commit")))
        }
    }
}

fn web(source: &str, text: &str, query: &str, trust: Trust) -> Result<Package, Fault> {
    let mut url = Url::parse(text).map_err(|e| wrong(source, &format!("is no address: {e}")))?;
    check_host(source, &url)?;
    if url.scheme() == "http" && (trust == Trust::Foreign || !is_loopback(&url)) {
        return Err(unsupported(source, "is not encrypted: write https://"));
    }
    let mut asked = None;
    let mut kept = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "archive" => asked = Some(value.into_owned()),
            "checksum" => return Err(unsupported(source, "names a checksum; groma.lock pins the content")),
            _ => kept.push((key.into_owned(), value.into_owned())),
        }
    }
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    let kind = match asked.as_deref() {
        Some("false") => None,
        Some(name) => Some(
            archive_kind(&format!(".{name}"))
                .ok_or_else(|| unsupported(source, "is an archive of another kind"))?,
        ),
        None => archive_kind(url.path()),
    };
    Ok(match kind {
        Some(kind) => Package::Archive(Archive { url, kind }),
        None => Package::Web(url),
    })
}

fn archive_kind(name: &str) -> Option<ArchiveKind> {
    let ends: [(&str, ArchiveKind); 8] = [
        (".zip", ArchiveKind::Zip),
        (".tar.gz", ArchiveKind::TarGz),
        (".tgz", ArchiveKind::TarGz),
        (".tar.bz2", ArchiveKind::TarBz2),
        (".tbz2", ArchiveKind::TarBz2),
        (".tar.xz", ArchiveKind::TarXz),
        (".txz", ArchiveKind::TarXz),
        (".tar", ArchiveKind::Tar),
    ];
    ends.iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| *kind)
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

// ---- names for people and records ----------------------------------------------------------------------------------

impl Package {
    /// The package's name in `groma.lock` and in messages: the same for every way of writing it, and without credentials.
    pub fn name(&self) -> String {
        match self {
            Package::Registry(m) => {
                let own = format!("{}/{}/{}", m.namespace, m.name, m.provider);
                if m.host == PUBLIC_REGISTRY { own } else { format!("{}/{own}", m.host) }
            }
            Package::Git(g) => {
                let reference = g.reference.as_ref().map(|r| format!("?ref={r}")).unwrap_or_default();
                format!("git::{}{reference}", distinct_url(&g.url))
            }
            Package::Archive(a) => distinct_url(&a.url),
            Package::Web(url) => distinct_url(url),
        }
    }
}

impl Address {
    /// The name with the folder: what `groma: {allow_exec: […]}` may name.
    pub fn name(&self) -> String {
        let package = self.package.name();
        match (self.folder.is_empty(), package.split_once('?')) {
            (true, _) => package,
            (false, Some((path, query))) => format!("{path}//{}?{query}", self.folder),
            (false, None) => format!("{package}//{}", self.folder),
        }
    }
}

/// A URL without its password and without its query, which may hold tokens.
pub(crate) fn public_url(url: &Url) -> String {
    let mut url = url.clone();
    // A URL without a host has no password to take out.
    let _ = url.set_password(None);
    if url.scheme() == "https" {
        let _ = url.set_username("");
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// A public URL that differs where the query does.
fn distinct_url(url: &Url) -> String {
    match url.query().filter(|q| !q.is_empty()) {
        Some(query) => format!("{}~{}", public_url(url), &crate::sha256(query.as_bytes())[..12]),
        None => public_url(url),
    }
}

/// A source for a message: what may be a password or a token is left out.
fn without_secrets(source: &str) -> String {
    let (path, query) = source.split_once('?').unwrap_or((source, ""));
    let path = match (path.find("://"), path.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme && path[scheme + 3..at].contains(':') => {
            format!("{}…{}", &path[..scheme + 3], &path[at..])
        }
        _ => path.to_string(),
    };
    let public: Vec<&str> = query
        .split('&')
        .filter(|pair| ["ref=", "depth=", "archive="].iter().any(|known| pair.starts_with(known)))
        .collect();
    if public.is_empty() { path } else { format!("{path}?{}", public.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::{Trust, parse};

    /// `KIND name` of a source, or the code and words of its fault.
    fn read(source: &str, trust: Trust) -> String {
        match parse(source, None, trust) {
            Ok(address) => {
                let debug = format!("{:?}", address.package);
                format!("{} {}", debug.split('(').next().unwrap_or_default(), address.name())
            }
            Err(fault) => format!("{} {}", fault.code, fault.detail),
        }
    }

    #[test]
    fn sources_are_read_as_terraform_reads_them() {
        for (source, expected) in [
            ("hashicorp/consul/aws", "Registry hashicorp/consul/aws"),
            ("hashicorp/consul/aws//modules/x", "Registry hashicorp/consul/aws//modules/x"),
            ("registry.terraform.io/a/b/c", "Registry a/b/c"),
            ("app.example.com/a/b/c", "Registry app.example.com/a/b/c"),
            ("127.0.0.1:8080/a/b/c", "Registry 127.0.0.1:8080/a/b/c"),
            ("github.com/o/r", "Git git::https://github.com/o/r.git"),
            ("github.com/o/r.git", "Git git::https://github.com/o/r.git"),
            ("github.com/o/r/a/b?ref=v1", "Git git::https://github.com/o/r.git//a/b?ref=v1"),
            ("github.com/o/r//a/b?ref=v1", "Git git::https://github.com/o/r.git//a/b?ref=v1"),
            ("bitbucket.org/o/r", "Git git::https://bitbucket.org/o/r.git"),
            ("git@github.com:o/r.git", "Git git::ssh://git@github.com/o/r.git"),
            ("git::git@github.com:o/r.git//x?ref=main", "Git git::ssh://git@github.com/o/r.git//x?ref=main"),
            ("git::https://h.example/x.git//a?ref=v1&depth=1", "Git git::https://h.example/x.git//a?ref=v1"),
            ("git::ssh://me@h.example/x.git", "Git git::ssh://me@h.example/x.git"),
            ("git::https://h.example/x.git?ref=", "Git git::https://h.example/x.git"),
            ("git::/srv/x//y", "Git git::file:///srv/x//y"),
            ("git::ssh://git@h.example:2222/o/r.git", "Git git::ssh://git@h.example:2222/o/r.git"),
            ("git::https://u:secret@h.example/x.git", "Git git::https://h.example/x.git"),
            ("https://h.example/m.zip", "Archive https://h.example/m.zip"),
            ("https://h.example/m.tar.gz//sub", "Archive https://h.example/m.tar.gz//sub"),
            ("https://h.example/m?archive=tgz&token=s", "Archive https://h.example/m~8e17e3a30f30"),
            ("https://h.example/m", "Web https://h.example/m"),
            ("http://127.0.0.1:1/m.zip", "Archive http://127.0.0.1:1/m.zip"),
        ] {
            assert_eq!(read(source, Trust::Own), expected, "{source}");
        }
    }

    #[test]
    fn hostile_and_foreign_sources_are_refused() {
        for (source, code) in [
            ("git::--upload-pack=touch /tmp/x", "G0520"),
            ("git::--upload-pack=x", "G0520"),
            ("git::ext::sh%20-c%20id", "G0520"),
            ("ext::sh%20-c%20id", "G0520"),
            ("git::fd::17", "G0520"),
            ("git::ssh://-oProxyCommand=id/x", "G0520"),
            ("git::ssh://-oProxyCommand=id@h.example/x", "G0520"),
            ("git@-oProxyCommand=id:x", "G0520"),
            ("git::https://h.example/r?ref=--upload-pack=x", "G0520"),
            ("git::https://h.example/r?ref=a..b", "G0520"),
            ("git::https://h.example/r?ref=a%0ab", "G0520"),
            ("git::https://h.example/r\n?ref=a", "G0520"),
            ("git::https://h.example/r//../../etc", "G0520"),
            ("git::https://h.example/r.git;id", "G0520"),
            ("git::http://h.example/r", "G0521"),
            ("git::git://h.example/r", "G0521"),
            ("http://h.example/m.zip", "G0521"),
            ("git::https://h.example/r?sshkey=abc", "G0521"),
            ("hg::https://h.example/r", "G0521"),
            ("s3::https://s3.amazonaws.com/b/m.zip", "G0521"),
            ("gcs::https://www.googleapis.com/storage/v1/b/m.zip", "G0521"),
            ("file:///etc", "G0521"),
            ("/etc", "G0520"),
            ("modules/x", "G0520"),
            ("ssh://git@h.example/r", "G0520"),
            ("", "G0520"),
        ] {
            assert_eq!(&read(source, Trust::Own)[..5], code, "{source}: {}", read(source, Trust::Own));
        }
        for source in
            ["git::/srv/r", "git::file:///srv/r", "http://127.0.0.1/m.zip", "git::http://127.0.0.1/r"]
        {
            assert!(read(source, Trust::Foreign).starts_with("G0521"), "{source}");
        }
        assert!(!read("git::ftp://me:hunter2@h/x", Trust::Own).contains("hunter2"));
        assert!(parse("git::https://h.example/r", Some("1.0"), Trust::Own).is_err_and(|f| f.code == "G0522"));
    }
}
