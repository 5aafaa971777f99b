//! Time to find the endpoint that matches a request, in contracts of 10 to 100,000 endpoints. Also prints the time and
//! the memory for loading the largest contract, and the time for the worst known path of each length.

use criterion::{BatchSize, Criterion};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use stepup_benches::{criterion, print_ratios};
use stepup_contract::{Contract, ContractErrors, Matcher};

/// Templates and matching paths of services, resources with an id, and actions.
fn paths(endpoints: usize) -> impl Iterator<Item = (String, String)> {
    (0..endpoints).map(|index| {
        let (service, resource, action) = (index / 100, index / 10 % 10, index % 10);
        let template = format!("/service-{service}/resources-{resource}/{{id}}/action-{action}");
        let path = template.replace("{id}", &format!("7f3c-{index}"));
        (template, path)
    })
}

fn document(endpoints: usize) -> String {
    let mut text =
        String::from("{\"contract\":1,\"service\":\"bench\",\"version\":\"1\",\"endpoints\":[");
    for (index, (template, _)) in paths(endpoints).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{{\"method\":\"POST\",\"path\":\"{template}\",\"handler\":\"bench::handler_{index}\",\
             \"security\":{{\"step-up\":true,\"methods\":[\"mfa\"],\"max-age\":300,\
             \"scopes\":[\"payments:approve\"]}}}}"
        );
    }
    text.push_str("]}");
    text
}

/// Paths in pseudo-random order, so that they are rarely in the CPU cache.
fn shuffled(endpoints: usize) -> Vec<String> {
    let all: Vec<String> = paths(endpoints).map(|(_, path)| path).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..4096)
        .filter_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = usize::try_from(state % (all.len() as u64)).ok()?;
            all.get(at).cloned()
        })
        .collect()
}

const SIZES: [(&str, usize); 3] = [("10", 10), ("1000", 1000), ("100000", 100_000)];

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("matching");
    for (name, size) in SIZES {
        let Ok(contract) = Contract::parse(document(size)) else { continue };
        let matcher = Matcher::new(&contract);
        let paths = shuffled(size);
        let mut at = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    at = (at + 1) % paths.len();
                    paths[at].as_str()
                },
                |path| matcher.find(black_box("POST"), black_box(path)).is_ok_and(|e| e.is_some()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Parts of paths that are expensive to compare with a contract: they decode to long texts, or servers remove them.
const HOSTILE: [&str; 14] = [
    "/.%EF%B7%BA",
    "%EF%B7%BA",
    "/%EF%B7%BA.",
    "/%C3%A9.",
    "/%20",
    "/%41",
    "/A.",
    "/.a",
    "/a.b.c",
    "/a.php",
    "/(x)",
    "a.",
    "A%20",
    "%E2%84%AB.",
];

/// Prints the worst of the hostile paths for each length, next to a plain path of that length.
fn worst_paths(contract: &Contract) {
    let matcher = Matcher::new(contract);
    let time = |part: &str, length: usize| {
        let path = format!("/{}", part.repeat(length / part.len()));
        let path = if part.starts_with('/') { &path[1..] } else { &path };
        let once = || {
            let began = Instant::now();
            let _ = black_box(matcher.find("POST", black_box(path)));
            began.elapsed()
        };
        (0..20).map(|_| once()).min().unwrap_or_default()
    };
    println!("\nworst path of each length");
    for length in [256, 1024, 4096, 8192] {
        let worst = HOSTILE.iter().map(|part| (time(part, length), part)).max();
        let Some((worst, part)) = worst else { continue };
        let (worst, plain) = (worst.as_secs_f64() * 1e6, time("/abc", length).as_secs_f64() * 1e6);
        println!("  {length:>5} bytes {worst:>8.1} µs, plain {plain:>6.1} µs, from {part}");
    }
    println!();
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn load() -> Result<(), ContractErrors> {
    let text = document(100_000);
    let (before, began) = (resident(), Instant::now());
    let contract = Contract::parse(&text)?;
    let parsed = began.elapsed();
    let matcher = Matcher::new(&contract);
    let whole = began.elapsed();
    drop(contract);
    println!(
        "\nload of 100,000 endpoints, {:.1} MiB of JSON",
        text.len() as f64 / (1024.0 * 1024.0)
    );
    println!("  parse and check    {:>8.0} ms", parsed.as_secs_f64() * 1000.0);
    println!("  ready to enforce   {:>8.0} ms", whole.as_secs_f64() * 1000.0);
    println!("  memory             {:>8.1} MiB\n", resident() - before);
    drop(matcher);
    Ok(())
}

fn main() -> Result<(), ContractErrors> {
    load()?;
    worst_paths(&Contract::parse(document(10))?);
    let mut criterion = criterion();
    benches(&mut criterion);
    criterion.final_summary();
    print_ratios("matching", &SIZES.map(|(name, _)| name));
    Ok(())
}
