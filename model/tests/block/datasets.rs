//! The series of the benchmarks: eight plain shapes and a mix of what a host's agent sends.
//!
//! Value for value those of the Python program that the other stores were measured with.

use std::f64::consts::TAU;

use crate::python_random::Random;

/// Makes `n` values that are `step` seconds apart.
pub(crate) type Shape = fn(&mut Random, usize, f64) -> Vec<f64>;

/// Values of series `index` of a data set.
pub(crate) fn series(name: &str, index: usize, hours: usize, step: usize) -> Vec<f64> {
    let shape = match name {
        "mix" => MIX[index % MIX.len()].1,
        plain => SHAPES.iter().find(|(known, _)| *known == plain).expect("a known shape").1,
    };
    shape(&mut Random::new(&format!("1/{name}/{index}")), hours * 3600 / step, step as f64)
}

/// The plain shapes.
pub(crate) const SHAPES: [(&str, Shape); 8] = [
    ("constant", constant),
    ("bit", bit),
    ("int20k", int20k),
    ("counter", counter),
    ("temp", temp),
    ("latency", latency),
    ("double", double),
    ("sine", sine),
];

/// The metrics of one host of the mix.
pub(crate) const MIX: [(&str, Shape); 20] = [
    ("cpu.user", |r, n, step| percent(r, n, step, 50.0)),
    ("cpu.system", |r, n, step| percent(r, n, step, 15.0)),
    ("cpu.iowait", |r, n, step| percent(r, n, step, 3.0)),
    ("load.1m", load),
    ("mem.used", |r, n, _| pages(r, n, 68_719_476_736.0, 3e6)),
    ("mem.cached", |r, n, _| pages(r, n, 34_359_738_368.0, 1e6)),
    ("disk.used", fill),
    ("disk.read_bytes", |r, n, step| daily_counter(r, n, step, 2e6, 0.6)),
    ("disk.write_bytes", |r, n, step| daily_counter(r, n, step, 5e6, 0.0)),
    ("net.rx_bytes", |r, n, step| daily_counter(r, n, step, 3e7, 0.0)),
    ("net.tx_bytes", |r, n, step| daily_counter(r, n, step, 1e7, 0.0)),
    ("kernel.ctxt", |r, n, step| daily_counter(r, n, step, 4e3, 0.0)),
    ("up", |_, n, _| vec![1.0; n]),
    ("procs", |r, n, _| integer_walk(r, n, 180.0, 420.0, 0.15)),
    ("tcp.estab", |r, n, _| integer_walk(r, n, 20.0, 2000.0, 0.7)),
    ("http.requests", |r, n, step| poisson(r, n, step, 40.0)),
    ("http.errors", |r, n, _| rare(r, n, 0.02, 5.0)),
    ("http.p50_ms", |r, n, _| percentile(r, n, 12.0)),
    ("http.p99_ms", |r, n, _| percentile(r, n, 180.0)),
    ("http.mean_ms", |r, n, _| mean_of_batches(r, n)),
];

fn constant(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    vec![r.choice(&[0.0, 1.0, 42.0, 100.0, 1_073_741_824.0]); n]
}

fn bit(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    (0..n).map(|_| f64::from(u8::from(r.uniform() < 0.5))).collect()
}

fn int20k(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    (0..n).map(|_| (r.uniform() * 20001.0).trunc()).collect()
}

/// A counter with a varying rate and a reset about twice a day.
fn counter(r: &mut Random, n: usize, step: f64) -> Vec<f64> {
    let mut v = (r.uniform() * 1e9).trunc();
    let rate = 50.0 + r.uniform() * 2000.0;
    let next = |_| {
        if r.uniform() < step / 43200.0 {
            v = 0.0;
        }
        v += (rate * step * (0.7 + 0.6 * r.uniform())).trunc();
        v
    };
    (0..n).map(next).collect()
}

/// Room temperature: a walk around a daily wave, one decimal.
fn temp(r: &mut Random, n: usize, step: f64) -> Vec<f64> {
    let mut w = 0.0;
    let base = 18.0 + 10.0 * r.uniform();
    let phase = r.uniform() * TAU;
    let next = |i| {
        w = 0.999 * w + r.gauss(0.05);
        decimals(base + 3.0 * (TAU * i as f64 * step / 86400.0 + phase).sin() + w, 1)
    };
    (0..n).map(next).collect()
}

/// Request latency in ms: lognormal, three significant digits.
fn latency(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    let mu = (5.0 + 60.0 * r.uniform()).ln();
    (0..n).map(|_| three_digits((mu + 0.6 * r.gauss(1.0)).exp())).collect()
}

fn double(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    (0..n).map(|_| r.uniform()).collect()
}

fn sine(r: &mut Random, n: usize, step: f64) -> Vec<f64> {
    let phase = r.uniform() * TAU;
    let a = 10.0 + 90.0 * r.uniform();
    (0..n).map(|i| a + a * (TAU * i as f64 * step / 86400.0 + phase).sin()).collect()
}

fn day(i: usize, step: f64, phase: f64) -> f64 {
    0.5 + 0.5 * (TAU * i as f64 * step / 86400.0 + phase).sin()
}

/// One decimal, diurnal, with bursts.
fn percent(r: &mut Random, n: usize, step: f64, scale: f64) -> Vec<f64> {
    let phase = r.uniform() * 0.7;
    let (mut w, mut burst) = (0.0, 0);
    let next = |i| {
        w = 0.9 * w + r.gauss(1.5);
        if r.uniform() < 0.003 {
            burst = 30;
        }
        burst -= i32::from(burst > 0);
        let extra = if burst > 0 { 30.0 } else { 0.0 };
        let value: f64 = scale * (0.2 + 0.5 * day(i, step, phase)) + w + extra;
        decimals(value.clamp(0.0, 100.0), 1)
    };
    (0..n).map(next).collect()
}

/// Two decimals, smooth.
fn load(r: &mut Random, n: usize, step: f64) -> Vec<f64> {
    let mut v = 1.0;
    let phase = r.uniform();
    let next = |i| {
        v += 0.15 * (1.0 + 3.0 * day(i, step, phase) + r.gauss(1.0) - v);
        decimals(f64::max(0.0, v), 2)
    };
    (0..n).map(next).collect()
}

fn whole_pages(bytes: f64) -> f64 {
    (bytes.trunc() / 4096.0).floor() * 4096.0
}

/// A multiple of the 4 KiB page, slow walk.
fn pages(r: &mut Random, n: usize, high: f64, deviation: f64) -> Vec<f64> {
    let mut v = high * (0.3 + 0.5 * r.uniform());
    let next = |_| {
        v = (v + r.gauss(deviation)).clamp(0.0, high);
        whole_pages(v)
    };
    (0..n).map(next).collect()
}

/// Disk use: grows, drops on clean-up, still for minutes.
fn fill(r: &mut Random, n: usize, _: f64) -> Vec<f64> {
    let mut v = whole_pages(2e11 * r.uniform());
    let next = |_| {
        if r.uniform() < 0.2 {
            v += (r.uniform() * 400.0).trunc() * 4096.0;
        }
        if r.uniform() < 0.0002 {
            v = whole_pages(v * 0.9);
        }
        v
    };
    (0..n).map(next).collect()
}

/// A counter with a diurnal rate, and a reboot about every 10 days.
fn daily_counter(r: &mut Random, n: usize, step: f64, scale: f64, idle: f64) -> Vec<f64> {
    let mut v = (r.uniform() * 1e12 * scale / 1e6).trunc();
    let phase = r.uniform();
    let next = |i| {
        if r.uniform() < step / 864_000.0 {
            v = 0.0;
        }
        if r.uniform() >= idle {
            v += (scale * step * (0.3 + day(i, step, phase)) * (0.8 + 0.4 * r.uniform())).trunc();
        }
        v
    };
    (0..n).map(next).collect()
}

fn integer_walk(r: &mut Random, n: usize, low: f64, high: f64, chance: f64) -> Vec<f64> {
    let mut v = (low + (high - low) * r.uniform()).trunc();
    let next = |_| {
        if r.uniform() < chance {
            let sign = if r.uniform() < 0.5 { 1.0 } else { -1.0 };
            v = (v + sign * (1.0 + (3.0 * r.uniform()).trunc())).clamp(low, high);
        }
        v
    };
    (0..n).map(next).collect()
}

/// Requests in a step: near Poisson, diurnal.
fn poisson(r: &mut Random, n: usize, step: f64, scale: f64) -> Vec<f64> {
    let phase = r.uniform() * 0.7;
    let next = |i| {
        let mean: f64 = scale * step * (0.2 + day(i, step, phase));
        f64::max(0.0, (mean + mean.sqrt() * r.gauss(1.0)).trunc())
    };
    (0..n).map(next).collect()
}

/// Nearly always 0.
fn rare(r: &mut Random, n: usize, chance: f64, top: f64) -> Vec<f64> {
    let next = |_| if r.uniform() < chance { 1.0 + (r.uniform() * top).trunc() } else { 0.0 };
    (0..n).map(next).collect()
}

/// A percentile of the step: lognormal around a walk, three significant digits.
fn percentile(r: &mut Random, n: usize, center: f64) -> Vec<f64> {
    let mu = (center * (0.5 + r.uniform())).ln();
    let mut w = 0.0;
    let next = |_| {
        w = 0.95 * w + r.gauss(0.05);
        three_digits((mu + w + 0.1 * r.gauss(1.0)).exp())
    };
    (0..n).map(next).collect()
}

/// The mean of a batch of latencies: all the bits of a double.
fn mean_of_batches(r: &mut Random, n: usize) -> Vec<f64> {
    let mean = 5.0 + 20.0 * r.uniform();
    let next = |_| {
        let count = 20.0 + (60.0 * r.uniform()).trunc();
        decimals(mean * count * (0.2 * r.gauss(1.0)).exp(), 3) / count
    };
    (0..n).map(next).collect()
}

fn decimals(value: f64, places: usize) -> f64 {
    format!("{value:.places$}").parse().expect("a printed number")
}

fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().expect("a printed number")
}

/// Printed by the Python program: of each data set the values 0, 1, 2, 1000 and 4319 of series 3 (of the
/// mix: 4 and 19 besides) at a step of 10 s.
#[test]
fn the_values_are_those_of_python() {
    #[rustfmt::skip]
    const PYTHON: [(&str, usize, [f64; 5]); 19] = [
        ("constant", 3, [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("bit", 3, [1.0, 0.0, 1.0, 1.0, 0.0]),
        ("int20k", 3, [10834.0, 17685.0, 17127.0, 16471.0, 4934.0]),
        ("counter", 3, [542423008.0, 542432585.0, 542444762.0, 5555647.0, 10765854.0]),
        ("temp", 3, [27.0, 27.0, 27.1, 31.3, 26.7]),
        ("latency", 3, [31.1, 18.1, 25.4, 50.5, 48.9]),
        ("double", 3, [0.5586122091758944, 0.3455894133091242, 0.6606845870740752, 0.6747988761798448, 0.1921474122397996]),
        ("sine", 3, [27.673279700019393, 27.66713060068082, 27.660974869530648, 18.881172918406786, 2.5746998293900365]),
        ("mix", 0, [25.3, 25.1, 25.9, 37.3, 15.0]),
        ("mix", 3, [1.3, 1.47, 1.74, 3.89, 2.2]),
        ("mix", 4, [29163216896.0, 29164068864.0, 29165555712.0, 29190496256.0, 29511159808.0]),
        ("mix", 6, [31074668544.0, 31074668544.0, 31074668544.0, 31228755968.0, 31744024576.0]),
        ("mix", 7, [1737007848275.0, 1737007848275.0, 1737025177323.0, 1746299016434.0, 1775030787398.0]),
        ("mix", 9, [9639878340291.0, 9640106748028.0, 9640414692036.0, 9959479854811.0, 11082818486126.0]),
        ("mix", 13, [297.0, 297.0, 297.0, 304.0, 257.0]),
        ("mix", 15, [281.0, 288.0, 269.0, 380.0, 273.0]),
        ("mix", 16, [0.0, 0.0, 0.0, 0.0, 0.0]),
        ("mix", 17, [8.49, 9.2, 9.64, 13.0, 8.99]),
        ("mix", 19, [19.865583333333333, 20.498394366197182, 17.939236842105263, 13.432128571428573, 15.814232142857142]),
    ];
    for (name, index, expected) in PYTHON {
        let values = series(name, index, 12, 10);
        let found = [0, 1, 2, 1000, 4319].map(|i| values[i]);
        // A last bit may differ where the sine of the C library does.
        let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-12 * b.abs();
        assert!(found.into_iter().zip(expected).all(near), "{name} {index}: {found:?}");
    }
}
