//! Files as the world has them, of which each kind was reported as trouble by somebody.

use super::*;

/// Half a second of speech, as 16-bit samples and as their bytes.
pub fn speech() -> (Vec<i16>, Vec<u8>) {
    let bytes = include_bytes!("../../../tests/data/formats/plain.wav")[44..].to_vec();
    let samples = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&pair| i16::from_le_bytes(pair));
    (samples.collect(), bytes)
}

pub fn chunk(name: &[u8; 4], length: u32, bytes: &[u8]) -> Vec<u8> {
    [&name[..], &length.to_le_bytes(), bytes].concat()
}

/// A description of mono samples at 16 kHz.
pub fn fmt(codec: u16, bits: u16) -> Vec<u8> {
    let (rate, block) = (16_000u32, bits.div_ceil(8));
    let mut bytes = [codec.to_le_bytes(), [1, 0]].concat();
    bytes.extend(
        [rate, rate * u32::from(block)]
            .map(u32::to_le_bytes)
            .concat(),
    );
    bytes.extend([block, bits].map(u16::to_le_bytes).concat());
    chunk(b"fmt ", 16, &bytes)
}

/// A WAV of chunks, whose length it states.
pub fn riff(length: Option<u32>, chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    let length = length.unwrap_or(chunks.len() as u32 + 4);
    [&b"RIFF"[..], &length.to_le_bytes(), b"WAVE", &chunks].concat()
}

#[test]
fn what_other_programs_write_around_the_samples_changes_none() {
    let (samples, bytes) = speech();
    let data = |length: u32| chunk(b"data", length, &bytes);
    let whole = || data(bytes.len() as u32);
    let pcm = fmt(1, 16);
    let odd = |name, padding: &[u8]| chunk(name, 5, &[b"INFOx", padding].concat());
    let mut no_byte_rate = pcm.clone();
    no_byte_rate[16..20].fill(0);
    let protools = chunk(b"fmt ", 40, &[&pcm[8..], &[0; 24]].concat());
    let half = bytes.len() / 2;
    let two = [&bytes[..half], &bytes[half..]];
    let two = two
        .map(|part| chunk(b"data", part.len() as u32, part))
        .concat();
    let ds64 = [0, bytes.len() as u64, 0].map(u64::to_le_bytes).concat();
    let ds64 = chunk(b"ds64", 28, &[&ds64[..], &[0; 4]].concat());
    let mut rf64 = riff(Some(u32::MAX), &[ds64, pcm.clone(), data(u32::MAX)]);
    rf64[..4].copy_from_slice(b"RF64");
    let cases = [
        (
            "a padded LIST",
            riff(None, &[odd(b"LIST", &[0]), pcm.clone(), whole()]),
        ),
        (
            "an unpadded LIST",
            riff(None, &[odd(b"LIST", &[]), pcm.clone(), whole()]),
        ),
        (
            "a padded bext",
            riff(None, &[odd(b"bext", &[0]), pcm.clone(), whole()]),
        ),
        (
            "ffmpeg into a pipe",
            riff(
                Some(u32::MAX),
                &[pcm.clone(), odd(b"LIST", &[0]), data(u32::MAX)],
            ),
        ),
        (
            "sox into a pipe",
            riff(Some(0x7fff_f024), &[pcm.clone(), data(0x7fff_f000)]),
        ),
        (
            "sox, of frames of 6 bytes",
            riff(Some(0x7fff_f020), &[pcm.clone(), data(0x7fff_effc)]),
        ),
        (
            "arecord into a pipe",
            riff(Some(0x8000_0024), &[pcm.clone(), data(0x8000_0000)]),
        ),
        (
            "a header never filled in",
            riff(Some(0), &[pcm.clone(), data(0)]),
        ),
        (
            "a header half filled in",
            riff(Some(36), &[pcm.clone(), data(0)]),
        ),
        ("no byte rate", riff(None, &[no_byte_rate, whole()])),
        ("a long description", riff(None, &[protools, whole()])),
        ("two chunks of samples", riff(None, &[pcm.clone(), two])),
        (
            "an empty chunk before them",
            riff(None, &[pcm.clone(), chunk(b"data", 0, &[]), whole()]),
        ),
        ("RF64", rf64),
        (
            "tags before",
            [
                &b"ID3\x04\0\0\0\0\0\x03abc"[..],
                &riff(None, &[pcm.clone(), whole()]),
            ]
            .concat(),
        ),
        (
            "tags after",
            [riff(None, &[pcm, whole()]), vec![b'T'; 128]].concat(),
        ),
    ];
    for (what, file) in cases {
        assert_eq!(decoded(file).as_ref(), Ok(&samples), "{what}");
    }
}

#[test]
fn wav_that_states_more_than_it_has_is_cut_short_however_long_it_states_to_be() {
    let (samples, bytes) = speech();
    let ds64 = |length: u64| {
        let sizes = [0, length, 0].map(u64::to_le_bytes).concat();
        let ds64 = chunk(b"ds64", 28, &[&sizes[..], &[0; 4]].concat());
        let mut file = riff(
            Some(u32::MAX),
            &[ds64, fmt(1, 16), chunk(b"data", u32::MAX, &bytes)],
        );
        file[..4].copy_from_slice(b"RF64");
        file
    };
    let data = |length| riff(None, &[fmt(1, 16), chunk(b"data", length, &bytes)]);
    let there = samples.len();
    for (file, stated) in [
        (data(0x7f01_0000), 0x7f01_0000u64),
        (data(0x8000_1000), 0x8000_1000),
        (data(0xffff_0000), 0xffff_0000),
        (ds64(0x7fff_f000), 0x7fff_f000),
        (ds64(0x1_0000_0000), 0x1_0000_0000),
    ] {
        let promised = stated / 2;
        let expected = format!("is cut short: {there} of {promised} samples a channel are there");
        assert_eq!(message(file), expected, "{stated:x}");
    }
}

/// A CAF file (Apple's specification) of a tone, in which one must go back.
#[test]
fn a_recording_in_which_one_goes_back_is_no_bomb_for_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.caf");
    let seconds = 70;
    let sound = tone(16_000, 1, 440.0).repeat(seconds);
    let sound: Vec<i16> = sound.iter().map(|&s| (s * FULL_SCALE) as i16).collect();
    let bytes = sound.iter().flat_map(|sample| sample.to_be_bytes());
    let bytes: Vec<u8> = [0; 4].into_iter().chain(bytes).collect();
    let numbers = [0u32, 2, 1, 1, 16].map(u32::to_be_bytes).concat();
    let description = [&16_000f64.to_be_bytes(), &b"lpcm"[..], &numbers].concat();
    let mut file = b"caff\0\x01\0\0".to_vec();
    for (name, bytes) in [(b"desc", description), (b"data", bytes)] {
        file.extend(name);
        file.extend((bytes.len() as u64).to_be_bytes());
        file.extend(bytes);
    }
    std::fs::write(&path, file).unwrap();
    assert!(read(&path).unwrap() == sound);
}

#[test]
fn zeros_after_an_mp3_fill_it_up_and_anything_else_is_damage() {
    let mp3 = include_bytes!("../../../tests/data/formats/lame.mp3");
    let filled = |byte, count| decoded([&mp3[..], &vec![byte; count]].concat());
    assert_eq!(filled(0, 200), decoded(mp3.to_vec()));
    assert!(filled(1, 200).is_err());
}

#[test]
fn half_a_sample_is_left_out() {
    let (samples, bytes) = speech();
    let odd = [&bytes[..], &[1]].concat();
    let longer = riff(
        None,
        &[fmt(1, 16), chunk(b"data", odd.len() as u32, &odd), vec![0]],
    );
    assert_eq!(decoded(longer).as_ref(), Ok(&samples));
    let shorter = riff(
        None,
        &[fmt(1, 16), chunk(b"data", bytes.len() as u32 - 1, &bytes)],
    );
    assert_eq!(decoded(shorter).unwrap(), samples[..samples.len() - 1]);
}

#[test]
fn every_coding_of_samples_is_brought_to_16_bits() {
    let of = |codec, bits, bytes: &[u8]| {
        decoded(riff(
            None,
            &[fmt(codec, bits), chunk(b"data", bytes.len() as u32, bytes)],
        ))
        .unwrap()
    };
    let doubles = [0.5f64, -1.0].map(f64::to_le_bytes).concat();
    assert_eq!(of(3, 64, &doubles), [16_384, -32_768]);
    // 12 bits stand in the upper ones of 16 (Multimedia Programming Interface 1.0, page 61).
    assert_eq!(of(1, 12, &[0xf0, 0x7f, 0x10, 0x80]), [0x7ff0, -0x7ff0]);
    // 20 valid bits in the upper ones of 24, as WAVE_FORMAT_EXTENSIBLE states them.
    let mut extended = fmt(0xfffe, 24)[8..].to_vec();
    extended.extend([22u16, 20].map(u16::to_le_bytes).concat());
    extended.extend(b"\x04\0\0\0\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
    let samples = chunk(b"data", 6, &[0, 0xf0, 0x7f, 0, 0x10, 0x80]);
    let wav = riff(None, &[chunk(b"fmt ", 40, &extended), samples]);
    assert_eq!(decoded(wav).unwrap(), [0x7ff0, -0x7ff0]);
    // ITU-T G.711, tables 1 and 2: the largest, the smallest and their negatives, in 13 and 14 bits.
    assert_eq!(
        of(6, 8, &[0xaa, 0xd5, 0x55, 0x2a]),
        [32_256, 8, -8, -32_256]
    );
    assert_eq!(of(7, 8, &[0x80, 0xff, 0x7f, 0x00]), [32_124, 0, 0, -32_124]);
}

#[test]
fn what_is_not_read_is_named_with_what_to_do() {
    let (_, bytes) = speech();
    let wav = |codec| riff(None, &[fmt(codec, 4), chunk(b"data", 9, &bytes[..9])]);
    let cases: [(&[u8], &str); 8] = [
        (
            &wav(0x31),
            "is a WAV whose samples are GSM 6.10 (codec 0x31)",
        ),
        (
            &wav(0x11),
            "is a WAV whose samples are IMA ADPCM (codec 0x11)",
        ),
        (
            &wav(2),
            "is a WAV whose samples are Microsoft ADPCM (codec 0x2)",
        ),
        (
            &wav(0x1234),
            "is a WAV whose samples are of another kind (codec 0x1234)",
        ),
        (b"NIST_1A\n   1024\nchannel_count", "is NIST SPHERE"),
        (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "is Wave64"),
        (b".snd\0\0\0\x18\0\0\0\0", "is Sun AU"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", "is Matroska or WebM"),
    ];
    for (file, name) in cases {
        let expected = format!(
            "{name}, which is not read: convert it to WAV or FLAC, as with `ffmpeg -i IN OUT.wav`"
        );
        assert_eq!(message(file.to_vec()), expected);
    }
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec();
    assert!(message(pointer).starts_with("is a Git LFS pointer"));
}

#[test]
fn damaged_flac_is_an_error_however_little_its_header_says() {
    let cases: [(&[u8], &str); 3] = [
        (
            include_bytes!("../../../tests/data/flac-damaged-middle.flac"),
            "is damaged: ",
        ),
        (
            include_bytes!("../../../tests/data/flac-reserved-sub.flac"),
            "is damaged: ",
        ),
        // Constant frames of 65 s each, at 1 kHz.
        (
            include_bytes!("../../../tests/data/bomb-1000-200.flac"),
            "stands for 786 s of sound in 2714 bytes",
        ),
    ];
    for (file, expected) in cases {
        assert!(message(file.to_vec()).starts_with(expected));
    }
    let side_of_32_bits = [0xff, 0xf8, 0x15, 8 << 4 | 7 << 1, 0, 0];
    let refused = flac::Frames::default()
        .take(&side_of_32_bits, 192)
        .unwrap_err();
    assert!(refused.to_string().contains("32 bits"), "{refused}");
}

/// What is remarked of a stereo recording of floats.
fn remarks(left: impl Fn(f64) -> f64, right: impl Fn(f64) -> f64) -> Vec<String> {
    let layout = Layout {
        rate: 16_000,
        channels: 2,
        top: 32_767.0,
        frames: None,
    };
    let mut mixer = mixer::Mixer::new(layout, None).unwrap();
    let tone = tone(16_000, 1, 440.0);
    let frames = tone
        .iter()
        .flat_map(|&s| [left(s * 65_536.0), right(s * 65_536.0)]);
    mixer
        .mix(&frames.collect::<Vec<_>>(), &mut Vec::new())
        .unwrap();
    mixer.remarks()
}

#[test]
fn clipping_cancelling_channels_and_samples_beyond_full_scale_are_remarked_once() {
    let (half, clip) = (
        |s: f64| s / 2.0,
        |s: f64| (2.0 * s).clamp(-32_768.0, 32_767.0),
    );
    assert_eq!(remarks(half, half), [""; 0]);
    let [clipped] = &remarks(clip, clip)[..] else {
        panic!()
    };
    // A sine is beyond half of its height for two thirds of the time.
    assert!(
        clipped.starts_with("66.") && clipped.contains("% of its samples are clipped"),
        "{clipped}"
    );
    let [cancelled] = &remarks(half, |s| -s / 2.0)[..] else {
        panic!()
    };
    assert!(cancelled.contains("cancel each other out"), "{cancelled}");
    // What every command can be given, and what `run` has for it.
    assert!(cancelled.contains("`ffmpeg -i IN -af 'pan=mono|c0=c0' OUT.wav`"));
    assert!(
        cancelled.ends_with("`zerda run --channel 1`"),
        "{cancelled}"
    );
    let [beyond] = &remarks(|s| s * 100.0, |_| 0.0)[..] else {
        panic!()
    };
    assert!(
        beyond.starts_with("samples reach 100.000 times full scale"),
        "{beyond}"
    );
}

#[test]
fn a_channel_can_be_chosen_and_one_that_is_not_there_is_named() {
    let bytes = wav(spec(2, 16_000, 16, SampleFormat::Int), &[1i16, 5, 2, 6]);
    let of = |channel| {
        let source = Source::new(Cursor::new(bytes.clone()));
        let mut recording = Recording::new("x".into(), source, Some(channel), format::decoder)?;
        Ok(recording.next_piece()?.unwrap_or_default().to_vec())
    };
    let of = |channel| of(channel).map_err(|error: crate::error::Error| error.to_string());
    assert_eq!(of(2).unwrap(), [5, 6]);
    assert_eq!(of(3).unwrap_err(), "x: has 2 channels, no channel 3");
}

#[test]
fn a_folder_is_listed_without_what_is_hidden_and_each_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["a", "a/b", "a/.git"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    for name in [
        "z.WAV",
        "a/b/x.opus",
        "a/._x.wav",
        "a/.git/y.wav",
        "a/notes.txt",
    ] {
        std::fs::write(at(name), b"").unwrap();
    }
    #[cfg(unix)]
    for (link, to) in [("a/itself", "a"), ("a/b/up", "."), ("0.wav", "z.WAV")] {
        std::os::unix::fs::symlink(at(to), at(link)).unwrap();
    }
    let listed = list(folder.path()).unwrap();
    assert_eq!(listed, [at("a/b/x.opus"), at("z.WAV")]);
}
