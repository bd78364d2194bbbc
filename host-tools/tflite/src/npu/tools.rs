//! Where programs that Zerda fetches are kept, and from where it runs them.
//!
//! The folder does not depend on where the user stands: a data set that somebody unpacked must not bring programs of its
//! own.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zerda_support::error::{Error, Result};

/// Environment variable that names another folder.
const VARIABLE: &str = "ZERDA_TOOLS";

/// Returns the folder: the one that `ZERDA_TOOLS` names, else that of the checkout that this binary was built from,
/// else one in the user's cache.
///
/// # Errors
/// It fails where there is no such place, and where another user could have put programs there.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = find()?;
    match foreign(&folder) {
        None => Ok(folder),
        Some(why) => Err(Error::usage(format!(
            "{}: holds programs to run, but {why}; name another folder with {VARIABLE}",
            folder.display()
        ))),
    }
}

fn find() -> Result<PathBuf> {
    let variable = |name: &str| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    if let Some(folder) = env::var_os(VARIABLE).map(PathBuf::from) {
        return match folder.is_absolute() {
            true => Ok(folder),
            false => Err(Error::usage(format!(
                "{VARIABLE}={}: expected an absolute path",
                folder.display()
            ))),
        };
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if checkout.join("firmware/setup.sh").is_file()
        && let Ok(checkout) = checkout.canonicalize()
    {
        return Ok(checkout.join("target/tools"));
    }
    let cache = variable("XDG_CACHE_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = cache.map(|cache| cache.join("zerda"));
    cache.ok_or_else(|| {
        Error::usage(format!(
            "no home folder to keep programs in: name a folder with {VARIABLE}"
        ))
    })
}

/// Returns why another user may have put something into the folder, or into one that it lies in; `None` if nobody could.
#[cfg(unix)]
fn foreign(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    /// Bits of a mode: others may write; only who owns an entry may rename or delete it.
    const OTHERS_WRITE: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    let user = rustix::process::geteuid().as_raw();
    for (above, path) in folder.ancestors().enumerate() {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Some(format!("{} cannot be read: {error}", path.display())),
        };
        let (owner, mode) = (metadata.uid(), metadata.mode());
        if owner != user && owner != 0 {
            let path = path.display();
            return Some(format!("{path} belongs to another user, {owner}"));
        }
        if mode & OTHERS_WRITE != 0 && (above == 0 || mode & STICKY == 0) {
            return Some(format!("everybody may write to {}", path.display()));
        }
    }
    None
}

/// Returns `None`: other systems keep the cache of a user to that user.
#[cfg(not(unix))]
fn foreign(_: &Path) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::io::{self, Write};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_and_one_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        mode(folder.path(), 0o755).unwrap();
        mode(&tools, 0o755).unwrap();
        assert_eq!(foreign(&tools), None);
        assert_eq!(foreign(&tools.join("to be made")), None);
        mode(&tools, 0o777).unwrap();
        assert!(foreign(&tools).unwrap().starts_with("everybody may write"));
        mode(&tools, 0o755).unwrap();
        mode(folder.path(), 0o777).unwrap();
        assert!(foreign(&tools).unwrap().starts_with("everybody may write"));
        mode(folder.path(), 0o1777).unwrap();
        assert_eq!(foreign(&tools), None);
    }

    /// Only root may give a folder to somebody else: SKIPPED for anybody else.
    #[test]
    fn a_folder_of_a_third_user_is_refused_and_one_below_it() {
        if !rustix::process::geteuid().is_root() {
            // The test harness would keep it from whoever reads.
            let _ = writeln!(io::stderr(), "SKIPPED a folder of a third user: takes root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        assert_eq!(foreign(&tools), None);
        chown(folder.path(), Some(12_345), None).unwrap();
        let why = foreign(&tools).unwrap();
        let expected = format!("{} belongs to another user, 12345", folder.path().display());
        assert_eq!(why, expected);
        chown(folder.path(), Some(0), None).unwrap();
        chown(&tools, Some(12_345), None).unwrap();
        for tools in [&tools, &tools.join("to be made")] {
            assert!(
                foreign(tools)
                    .unwrap()
                    .ends_with("belongs to another user, 12345")
            );
        }
    }
}
