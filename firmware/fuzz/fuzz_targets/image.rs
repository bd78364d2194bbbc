//! This target fuzzes the checks of an image, and runs what passes them. The first byte says whether the
//! header of what follows is repaired, so that both the header's checks and those behind it are tried.
//! `ZERDA_SEEDS=FOLDER` writes images to start from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zerda_firmware::hostile::{self, Bytes};

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("ZERDA_SEEDS") {
            for (number, image) in hostile::valid().iter().enumerate() {
                let path = std::path::Path::new(&folder).join(number.to_string());
                let input = [&[1], image.get()].concat();
                std::fs::write(path, input).expect("the folder of ZERDA_SEEDS is there");
            }
        }
    },
    |input: &[u8]| {
        let Some((&selector, image)) = input.split_first() else {
            return;
        };
        let mut image = Bytes::new(image);
        if selector % 2 == 1 {
            hostile::repair(&mut image);
        }
        hostile::try_image(image.get());
    }
);
