//! The simulator's costs, fitted on `shrunk` alone, against what QEMU counts of models that they have not seen.

use tempfile::TempDir;
use zerda_device::boards::Project;
use zerda_device::qemu::{self, Step};
use zerda_firmware::Image;
use zerda_quantize::skeleton;
use zerda_simulate::calibrate::noise;
use zerda_simulate::cost::Estimator;
use zerda_support::board::{Cost, Instructions};
use zerda_support::config::{Config, Profile};
use zerda_support::image_file::ImageFile;
use zerda_support::output;

use super::{BOARDS, root, tools};

/// Of a model that the costs have not seen, and of the one that they were fitted on.
const UNSEEN: f64 = 0.10;
const FITTED: f64 = 0.02;

/// The greatest error of all steps, from the first one with empty caches on, as a fraction.
fn error(costs: &Instructions, image: &Image<'_>, counted: &[Step]) -> f64 {
    let predicted = Estimator(costs).steps(image, counted.len()).unwrap();
    let errors = predicted.iter().zip(counted).map(|(predicted, counted)| {
        let [predicted, counted] = [predicted, counted].map(|step| step.total() as f64);
        predicted / counted - 1.0
    });
    errors.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap()
}

fn count(project: &Project, file: &ImageFile, image: &Image<'_>) -> Vec<Step> {
    let firmware = project.build(file, None).unwrap();
    qemu::count(project, firmware, image, &noise(image)).unwrap()
}

/// What the test is about must not hold for wrong costs.
fn broken(costs: &Instructions) -> Instructions {
    let mut costs = costs.clone();
    for of in ["product", "FullyConnected"] {
        let products = costs.cost.get_mut(of).unwrap();
        products
            .values_mut()
            .for_each(|cost| *cost = Cost(cost.0 * 1.5));
    }
    costs
}

fn write(folder: &TempDir, name: &str, profile: &Profile, config: &Config) -> (String, ImageFile) {
    let file = skeleton::image(profile, config).unwrap();
    let path = folder.path().join(name);
    output::write(&path, file.bytes()).unwrap();
    (path.display().to_string(), file)
}

#[test]
fn costs_fitted_on_shrunk_predict_other_models_on_both_boards_within_a_tenth() {
    if !tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = Config::load(None).unwrap();
    let low_latency = config.models.profiles["low-latency"];
    let unseen = Profile {
        layers: 3,
        hidden: 96,
        feed_forward: 384,
        ..config.models.profiles["shrunk"]
    };
    let shrunk = root().join("models/shrunk.zerda");
    let models = [
        (
            shrunk.display().to_string(),
            ImageFile::open(&shrunk).unwrap(),
        ),
        write(&folder, "low-latency.zerda", &low_latency, &config),
        write(&folder, "unseen.zerda", &unseen, &config),
    ];
    for (name, _) in BOARDS {
        let project = Project::open(&root().join("firmware/boards"), name).unwrap();
        let costs = &project.board.instructions;
        for (number, (path, file)) in models.iter().enumerate() {
            let image = file.image().unwrap();
            let counted = count(&project, file, &image);
            let (limit, last) = (if number == 0 { FITTED } else { UNSEEN }, counted.len() - 1);
            let wrong = error(costs, &image, &counted);
            println!(
                "{name}, {path}: {} instructions counted in the last step, worst prediction {:+.2} %",
                counted[last].total(),
                100.0 * wrong
            );
            assert!(wrong.abs() <= limit, "{name}, {path}: {wrong}");
            assert!(
                error(&broken(costs), &image, &counted).abs() > limit,
                "{name}, {path}"
            );
        }
    }
}
