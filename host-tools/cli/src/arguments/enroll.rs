//! Defines the arguments of `zerda enroll`.

use std::path::PathBuf;

use clap::Args;

use super::ImageArg;

/// Makes a template of a phrase from a few recordings of one speaker, without training
///
/// `zerda run --templates` then reports where the phrase is said, with its similarity: the mean cosine, up to 1, between what
/// the network's last layer but one says of the recordings and of what is heard. It tells phrases apart, hardly speakers.
/// The threshold lies half way between how alike the recordings are and the most similar stretch of --negatives; without
/// 6 minutes of them it is 0.83 at least. Phrases of three syllables and more raise few false alarms.
#[derive(Args)]
pub struct EnrollArgs {
    /// Names the phrase, as it is reported
    pub name: String,
    /// Reads 3 to 5 recordings of the phrase, said by one speaker and nothing else in each, up to 3 s; files are those of
    /// `zerda run`
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    #[command(flatten)]
    pub image: ImageArg,
    /// Takes care that nothing in these recordings, or folders of them, is taken for the phrase: hours of the speech that
    /// the device will hear, without the phrase
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub negatives: Vec<PathBuf>,
    /// Writes the template to this file, or adds it to those of up to 8 phrases that are there
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}
