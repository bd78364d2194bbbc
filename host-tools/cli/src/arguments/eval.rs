//! Defines the arguments of `zerda eval` and `zerda tune`, which measure and tune what is recognised.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ImageArg, QuietArg, WakeArg};

/// Measures accuracy on a folder of clips, float beside INT8; or misses and false alarms in long streams
///
/// A clip's answer is the label with the highest smoothed posterior, as in `run`. The float network runs in tract, the
/// INT8 image in the firmware crate. INT8 is measured at the start of a stream and after 1.2 s of other speech, made of
/// clips of _unknown_. An answer is right if it is the label of the clip's folder, whatever other labels the model has.
/// In JSON, top1 and disagree are fractions of 0 to 1, and classes are the labels that have clips.
///
/// With --stream the INT8 image and its decoder hear streams as the device does: each command of the folder once, 0.5
/// to 3 s apart, in noise and other speech; and the negatives as they were recorded, for false alarms. A word that is
/// decided with its own label between its start and 500 ms after its end is heard, once; its end is that of the last 10
/// ms within 25 dB of its loudest. Another label there is a wrong one, and the word is missed unless its own comes too;
/// all else that is detected is false. SNR is the word's root mean square over that of its background, from its start
/// to its end: words are heard in noise and in speech of the negatives in turn. False alarms an hour are those in the
/// negatives; false ones in the streams with words stand apart. Delays are from the end of a word to the end of the
/// audio that deciding took, without computing. Upper bounds are 95 %, one-sided: Garwood's for false alarms, Wilson's
/// for misses. The same seed makes the same streams, byte for byte.
///
/// With --wake, or if the image has wake words, the device sleeps: only they count then, and one of them opens a window
/// for commands. The thresholds of wake words are then judged, and those of commands stay the image's. Each wake word
/// is said by itself to a sleeping device, in noise and in speech apart; false wakes are those in the negatives,
/// counted for each wake word. Pairs are a wake word and then a command, 300 to 1500 ms between them, said to a
/// sleeping device: each wake word and each command equally often, no clip twice before all of its word have come. A
/// pair is heard if its wake word and then its command are, each in its time. False commands are those in the negatives
/// while the device is awake.
#[derive(Args)]
pub struct EvalArgs {
    /// Reads the clips of folders with one folder a label, named as the label; others are left out
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    #[command(flatten)]
    pub image: ImageArg,
    /// Reads the float model that the image was compiled from
    #[arg(long, value_name = "FILE", default_value = "models/shrunk.onnx")]
    pub onnx: PathBuf,
    /// Prints one JSON object. With --stream it holds: basis, image, seed, commands, late_ms, clips, silent_clips,
    /// negatives (files, hours), fa_per_hour (the target), notes, operating_points (name: image for its own thresholds,
    /// target for one for all that meets the target, or highest if none does; smoothing, thresholds, false_alarms:
    /// count, per_hour, per_hour_upper, by_command, each with file, command, score, decided_ms; conditions: condition,
    /// snr_db (null: clean), room, level_dbfs, hours, clipped_samples, all and commands: words, misses, miss_rate (0 to
    /// 1), miss_rate_upper, delay_p50_ms, _p95_ms, _max_ms, substitutions and false_alarms (of this label where it was
    /// not said, within and outside words), repetitions, answered (labels wrongly detected within this one's words);
    /// in_noise, in_speech, delays (start of a 20 ms bin, count), missed (clips)), det (by condition: points with
    /// threshold, false_alarms, fa_per_hour, misses, miss_rate, commands: [false alarms, misses]), max_miss, failures.
    /// With --wake it also holds: wake (words, window_ms, extend, pairs, gap_ms: least, most); of each operating point
    /// false_wakes (count, per_hour, per_hour_upper, by_word, each), and false_alarms are those of commands while
    /// awake; of each condition background (noise, speech; none: clean), all and commands for the wake words, and pairs
    /// (null where there are none; all: pairs, wake_words: theirs, after_wake: commands whose wake word was heard,
    /// by_wake_word: pairs, by_command: after_wake, each with words, misses, miss_rate, miss_rate_upper;
    /// wrong_commands, delay_p50_ms, _p95_ms, missed: pairs of clips); of each point of det false_alarms and commands
    /// for the wake words, false_commands, pairs_missed
    #[arg(long)]
    pub json: bool,
    /// Counts only the clips of these labels: other folders are left out, and named
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Takes only the first N clips of each label in each DIR
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub stream: StreamArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Streams", mut_arg("wake", |wake| wake.requires("stream")), mut_arg("quiet", |quiet| quiet.requires("stream")))]
pub struct StreamArgs {
    /// Measures misses, false alarms an hour and delays in streams
    #[arg(long, requires = "negatives", conflicts_with = "onnx")]
    pub stream: bool,
    /// Counts false alarms in these recordings of speech and other sound in which no command is spoken, or
    /// folders of them; the first 5 minutes of each also serve as the speech that words are heard in
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "stream")]
    pub negatives: Vec<PathBuf>,
    /// Mixes the noise of these files, or folders of them, under the words: the first 5 minutes of each
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "stream")]
    pub noise: Vec<PathBuf>,
    /// Sets the signal to noise ratios in dB; `clean` adds nothing
    #[arg(
        long,
        value_name = "DB,...",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    #[arg(default_value = "clean,20,10,0", value_parser = snr, requires = "stream")]
    pub snr: Vec<Snr>,
    /// Sets where words are said: `near`, or `reverberant`, each in one of eight rooms of 0.3 to 0.6 s (RT60), 1 to 3 m
    /// away, by the image method
    #[arg(long, value_name = "ROOM,...", value_delimiter = ',', value_enum)]
    #[arg(default_value = "near", requires = "stream")]
    pub room: Vec<Room>,
    /// Sets the levels of the words' loudest samples, in dBFS
    #[arg(
        long,
        value_name = "DBFS,...",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    #[arg(default_value = "-10", value_parser = level, requires = "stream")]
    pub level: Vec<f64>,
    #[command(flatten)]
    pub wake: WakeArg,
    #[command(flatten)]
    pub quiet: QuietArg,
    /// Draws N pairs of a wake word and a command, which are said in each condition
    #[arg(long, value_name = "N", default_value_t = 300, requires = "stream")]
    pub pairs: usize,
    /// Seeds all that is drawn by chance
    #[arg(long, value_name = "N", default_value_t = 1, requires = "stream")]
    pub seed: u64,
    /// Reports misses at so many false alarms an hour, besides those at the image's thresholds; with --wake at so many
    /// false wakes an hour of each wake word
    #[arg(long, value_name = "RATE", default_value = "0.5", value_parser = rate, requires = "stream")]
    pub fa_per_hour: f64,
    /// Fails with exit code 1 if, at so many false alarms an hour, more than this share (0 to 1) of the words, or of
    /// the pairs, is missed in any condition
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "stream")]
    pub max_miss: Option<f64>,
    /// Writes a page with detection error trade-off plots as well
    #[arg(long, value_name = "FILE.html", requires = "stream")]
    pub report: Option<PathBuf>,
}

/// Signal to noise ratio in dB; `None` (`clean`) adds nothing.
#[derive(Clone, Copy)]
pub struct Snr(pub Option<f64>);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Room {
    Near,
    Reverberant,
}

/// Sets thresholds and smoothing for as few false alarms an hour as wanted, without compiling again
///
/// Hears negatives, recordings of the device's own surroundings in which no command is spoken, and chooses for each
/// command the threshold that is expected to give its part of the false alarms on other audio of that kind. Beyond what
/// was heard, rates are extrapolated by an exponential tail of the highest posteriors: the more hours, the surer. With
/// --commands the parts are those that miss fewest of these words, heard at 10 dB in the negatives, and the smoothing
/// is chosen as well, as long as the delay keeps within `latency_ms` of config/budgets.toml; without, parts are equal
/// and the smoothing stays. It writes nothing but what is named, and nothing, with exit code 1, if no threshold is high
/// enough. In commands.toml a comment beside each threshold says what was measured at it.
///
/// With --wake, or if the image has wake words, their thresholds are chosen instead, each for so many false wakes an
/// hour by itself; --commands has clips of each. Commands count after a wake word only: their thresholds and the
/// smoothing stay.
#[derive(Args)]
pub struct TuneArgs {
    /// Names the compiled model that is tuned
    #[command(flatten)]
    pub image: ImageArg,
    /// Hears these recordings without commands, or folders of them: several hours
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub negatives: Vec<PathBuf>,
    /// Measures what thresholds cost on the words of this folder, which has one folder a label, named as the label
    #[arg(long, value_name = "DIR")]
    pub commands: Option<PathBuf>,
    /// Sets the wanted false alarms an hour, of all commands together [default: 0.5]
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with_all = ["wake", "wakes_per_hour"])]
    pub fa_per_hour: Option<f64>,
    #[command(flatten)]
    pub wake: WakeArg,
    /// Sets the wanted false wakes an hour, of each wake word [default: 0.5]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub wakes_per_hour: Option<f64>,
    /// Writes the image with the new thresholds to this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Writes the thresholds into commands.toml of this folder; the rest of the file stays, comments too
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Prints one JSON object: fa_per_hour (the target), hours, before and after (smoothing, thresholds of 0 to 1,
    /// false_alarms counted, per_hour and per_hour_upper (95 %, one-sided), by_command, words, misses, miss_rate,
    /// delay_p95_ms, misses_by_command: [words, misses]; all of words null or empty without --commands),
    /// expected_per_hour, expected_by_command, met, notes. With --wake all of it is of wake words, with wake_words, and
    /// false_commands in before and after: those in the negatives while awake
    #[arg(long)]
    pub json: bool,
}

fn snr(text: &str) -> Result<Snr, String> {
    match text.parse::<f64>() {
        _ if text == "clean" => Ok(Snr(None)),
        Ok(db) if (-30.0..=100.0).contains(&db) => Ok(Snr(Some(db))),
        _ => Err("expected `clean`, or -30 to 100 dB".into()),
    }
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dbfs) if (-80.0..=0.0).contains(&dbfs) => Ok(dbfs),
        _ => Err("expected -80 to 0 dBFS".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("expected false alarms an hour, 0.001 to 1000".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share, 0 to 1".into()),
    }
}
