//! Which NPU runs what, and what the model holds a driver to.

use super::super::registers::cmd;
use super::*;

/// The failure of the first step of the shipped model compiled for an NPU, on another.
fn first_failure(change: impl FnOnce(&mut Parts), own: (u32, u32)) -> Option<Failure> {
    let shipped = shipped();
    let mut parts = Parts::new(&Image::parse(shipped.get()).unwrap());
    change(&mut parts);
    let bytes = parts.append(shipped.get());
    let image = Image::parse(bytes.get()).unwrap();
    // The registers of an NPU that is not the payload's.
    let mut parts = Parts::new(&image);
    let (config, id) = own;
    let product = [Product::U55, Product::U65, Product::U85][config as usize >> 28];
    parts.target(product, config, id);
    let other = parts.append(shipped.get());
    let other = Image::parse(other.get()).unwrap();
    let mut scratch = Box::new(Scratch::<ROOM>::new());
    let (mut models, mut memory) = (vec![0; ROOM], vec![0; image.memory_bytes()]);
    let mut npu = Npu::new(Model::new(&other, &mut models), &mut scratch);
    let windows = Windows::reset(&image, &mut memory);
    npu.step(&image, &windows, &mut memory);
    let failure = npu.npu().unwrap().last;
    for _ in 0..600 {
        npu.step(&image, &windows, &mut memory);
    }
    if failure.is_some_and(|failure| !failure.fault.is_passing()) {
        assert_eq!(npu.npu().unwrap().faults, 1, "tried again");
    }
    failure
}

#[test]
fn a_payload_for_another_npu_is_told_and_not_tried_again() {
    let for_u55 = |_: &mut Parts| ();
    let (config, id) = (8, 0x1010_0000);
    for (own, why) in [
        ((config - 1, id), "half as many multiply-accumulates"),
        ((config + 0x10, id), "another stream version"),
        ((config + (1 << 28), id), "an Ethos-U65"),
        ((config + (2 << 28), id), "an Ethos-U85"),
        ((config, 0x2010_0000), "another major architecture"),
        ((config, 0x1000_0000), "an older minor architecture"),
    ] {
        let failure = first_failure(for_u55, own).unwrap();
        let expected = Failure {
            fault: Fault::Mismatch,
            detail: own.0.into(),
        };
        assert_eq!(failure, expected, "{why}");
    }
    // A newer minor architecture runs it; what follows is the model, which has another stream.
    for own in [(config, id), (config, 0x1020_0000)] {
        let failure = first_failure(for_u55, own).unwrap();
        assert_eq!(failure.fault, Fault::Parse);
    }
    let custom_dma = |parts: &mut Parts| parts.target(Product::U55, config | 1 << 27, id);
    let failure = first_failure(custom_dma, (config, id)).unwrap();
    assert_eq!(failure.fault, Fault::Mismatch);
}

/// The model is no rubber stamp: a driver that leaves a step out is found out.
#[test]
fn the_model_names_the_rule_that_a_driver_breaks() {
    let bytes = with_npu(shipped().get());
    let image = Image::parse(bytes.get()).unwrap();
    let program = image.npu().unwrap();
    let payload = program.payload().unwrap();
    let mut models = vec![0; image.memory_bytes()];
    let mut scratch = Box::new(Scratch::<ROOM>::new());
    /// Lets a driver's writes pass but for one.
    struct Without<'m, 'a>(&'m mut Model<'a>, Register, u32);
    impl Bus for Without<'_, '_> {
        fn read(&mut self, register: Register) -> u32 {
            self.0.read(register)
        }
        fn write(&mut self, register: Register, value: u32) {
            let value = if register == self.1 {
                value ^ self.2
            } else {
                value
            };
            self.0.write(register, value);
        }
        fn address(&self, cpu: usize) -> u64 {
            self.0.address(cpu)
        }
        fn clean(&mut self, scratch: &mut [i8]) {
            if self.1 != Register::STATUS {
                self.0.clean(scratch);
            }
        }
        fn wait(&mut self, scratch: &mut [i8], limit_us: u32) -> bool {
            self.0.wait(scratch, limit_us)
        }
        fn invalidate(&mut self, scratch: &mut [i8]) {
            self.0.invalidate(scratch);
        }
    }
    let mut run = |register, flip| {
        for mask in program.io().filter(|io| matches!(io.role, Role::Mask(_))) {
            scratch.0[mask.range()].fill(PRESENT);
        }
        let mut model = Model::new(&image, &mut models);
        let mut driver = Driver::new(Without(&mut model, register, flip));
        let constants = Constants {
            address: program.constants.as_ptr().addr(),
            memory_mode: program.memory_mode,
        };
        let result = driver
            .start(&payload)
            .and_then(|()| driver.run(&payload, constants, &mut scratch.0, 1000));
        (result.is_ok(), model.violation())
    };
    assert_eq!(run(Register::ID, 0), (true, None));
    for (register, flip, rule) in [
        (
            Register::QBASE,
            8,
            "QBASE is not the aligned address of the command stream",
        ),
        (
            Register::QSIZE,
            4,
            "QSIZE is not the command stream's length in bytes",
        ),
        (
            Register::basep(0),
            16,
            "base address 0 is not that of the constants",
        ),
        (
            Register::basep(1),
            16,
            "base address 1 is not that of the scratch buffer",
        ),
        (
            Register::basep(2),
            16,
            "base address 2 is not that of the scratch buffer",
        ),
        (
            Register::QCONFIG,
            2,
            "runs with the command stream at the wrong port",
        ),
        (
            Register::REGIONCFG,
            2,
            "runs with a region at the wrong port",
        ),
        (
            Register::axi_limit(3),
            1 << 22,
            "runs with AXI limits that the product does not have",
        ),
        (
            Register::CMD,
            cmd::CLOCK_GATING,
            "runs while clock or power may be cut",
        ),
        (Register::STATUS, 0, "runs without a clean cache"),
    ] {
        let (ran, violation) = run(register, flip);
        assert_eq!((ran, violation), (false, Some(rule)));
    }
}
