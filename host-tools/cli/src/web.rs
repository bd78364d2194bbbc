//! `zerda web` makes the page that hears in a browser, and serves it to this machine, or writes it into a folder.

mod server;
mod site;

use std::fs;
use std::path::PathBuf;

use zerda_support::config::Sensitivity;
use zerda_support::error::{Error, Result};
use zerda_support::output::{self, print};
use zerda_support::{escape, wake};

use site::Site;
pub use site::names;

pub struct Options {
    pub image: PathBuf,
    pub wake: Option<wake::Words>,
    /// Sensitivity of a voice activity gate that takes the place of the image's own.
    pub quiet: Option<Sensitivity>,
    /// Port that the page is served at.
    pub port: u16,
    /// Folder that the page is written into instead.
    pub output: Option<PathBuf>,
}

pub fn web(options: &Options) -> Result<()> {
    let file = wake::open(&options.image, options.wake.as_ref(), options.quiet)?;
    file.image()?;
    let Some(folder) = &options.output else {
        // The port is taken before the work, which may last minutes.
        let listener = server::listen(options.port)?;
        return server::serve(listener, Site::make(&file)?);
    };
    let site = Site::make(&file)?;
    fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    for (name, bytes) in &site.files {
        output::write(&folder.join(name), bytes)?;
    }
    let (files, bytes) = (site.files.len(), site.bytes());
    print(&format!(
        "{}: {files} files, {bytes} bytes; any server of static files can serve them",
        escape::path(folder)
    ))
}
