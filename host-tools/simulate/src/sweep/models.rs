//! Finds compiled images of the recipe's network: more is known of their shapes than of a skeleton.

use std::fs;
use std::path::{Path, PathBuf};

use zerda_firmware::Image;
use zerda_firmware::plan::Op;

use zerda_quantize::skeleton;
use zerda_support::config::{Config, Profile, Sensitivity};
use zerda_support::error::{Error, Result};
use zerda_support::image_file::ImageFile;
use zerda_support::operators::describe;
use zerda_support::wake::{self, Words};

pub struct Model {
    pub path: PathBuf,
    pub file: ImageFile,
    pub shape: Profile,
}

/// Opens the image at `path`, then those beside it in the order of their names, each with the wake words and the gate for
/// the quiet that are given. What is damaged there, or lacks these words, is told and left out, and what is no such network
/// left out.
pub fn find(
    path: &Path,
    words: Option<&Words>,
    quiet: Option<Sensitivity>,
    config: &Config,
) -> Result<Vec<Model>> {
    let open = |path: &Path| open(path, words, quiet, config);
    let base = open(path)?.ok_or_else(|| {
        Error::usage(format!(
            "{}: not of a shape of the recipe's Conformer, expected one that can be swept",
            path.display()
        ))
    })?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder).map_err(|error| Error::read(folder, error))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == "zerda"))
        .filter(|file| file.file_name() != path.file_name())
        .collect();
    files.sort();
    let others = files
        .iter()
        .filter_map(|file| open(file).inspect_err(Error::report).ok().flatten());
    Ok([base].into_iter().chain(others).collect())
}

/// Opens an image; returns `None` if it is of another network.
fn open(
    path: &Path,
    words: Option<&Words>,
    quiet: Option<Sensitivity>,
    config: &Config,
) -> Result<Option<Model>> {
    let file = ImageFile::open(path)?;
    let Some(shape) = shape(&file.image()?, config) else {
        return Ok(None);
    };
    Ok(Some(Model {
        path: path.into(),
        file: wake::put(file, words, quiet)?,
        shape,
    }))
}

/// Returns the shape whose skeleton has the same operators, if there is one.
fn shape(image: &Image<'_>, config: &Config) -> Option<Profile> {
    let stream = image.manifest().stream;
    let mut linears = image.ops().filter_map(|op| match op {
        Op::FullyConnected(dense) => image.tensor(dense.output),
        _ => None,
    });
    let attention = image.ops().filter_map(|op| match op {
        Op::Scores { query, heads, .. } => Some((image.tensor(query)?.cols, heads)),
        _ => None,
    });
    let kernel = image.ops().find_map(|op| match op {
        Op::DepthwiseConv(dense) => Some(image.tensor(dense.weights)?.rows),
        _ => None,
    });
    let attention: Vec<_> = attention.collect();
    let &(hidden, heads) = attention.first()?;
    let shape = Profile {
        layers: attention.len() as u16,
        heads: heads.into(),
        hidden,
        // After the one that makes `hidden` of features.
        feed_forward: linears.nth(1)?.cols,
        kernel: kernel?,
        chunk: stream.chunk,
        cached: stream.left_context,
        step: stream.step,
    };
    // How many labels there are is no matter of the shape: the last linear and softmax are left out.
    let operators = |image: &Image<'_>| {
        let mut operators: Vec<_> = image.ops().map(|op| describe(image, op)).collect();
        operators.truncate(operators.len().saturating_sub(2));
        operators
    };
    let skeleton = skeleton::image(&shape, config).ok()?;
    let same = operators(&skeleton.image().ok()?) == operators(image);
    (same && stream == skeleton.image().ok()?.manifest().stream).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shape that no image of `models` has, so that the file's own is told and not a built-in one.
    #[test]
    fn an_image_tells_its_shape_and_those_beside_it_are_found() {
        let config = Config::load(None).unwrap();
        let shrunk = config.models.profiles["shrunk"];
        let wide = Profile {
            layers: 3,
            hidden: 96,
            feed_forward: 192,
            kernel: 7,
            cached: 30,
            ..shrunk
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, shape) in [("b.zerda", wide), ("a.zerda", shrunk)] {
            let image = skeleton::image(&shape, &config).unwrap();
            fs::write(path(name), image.bytes()).unwrap();
        }
        fs::write(path("broken.zerda"), "zerda").unwrap();
        fs::write(path("notes.txt"), "").unwrap();
        let found = find(&path("b.zerda"), None, None, &config).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|model| (&model.path, model.shape))
            .collect();
        assert_eq!(
            found,
            [(&path("b.zerda"), wide), (&path("a.zerda"), shrunk)]
        );
    }
}
