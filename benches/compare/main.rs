//! Plans the same configurations with `terraform`, where it is installed, and with groma, in one run, and writes a table.
//!
//! `cargo bench --bench compare -- [--shapes indep,chain] [--sizes 1000,10000] [--limit SECONDS]`
//!
//! Measured are the CPU time and the peak memory of the whole command, by the operating system. A process's children
//! can only be measured together, so this program calls itself once for each command. What takes longer than the limit
//! is killed and left out, and its ratio with it.
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod shapes;

use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use shapes::Shape;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Word that makes this program measure one command.
const MEASURE: &str = "--measure";
/// Address space of a measured command: a plan that takes more is not let to take the machine down.
const MEMORY_MAX: u64 = 16 << 30;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What one command took.
#[derive(Clone, Copy)]
struct Cost {
    /// Seconds of CPU, in the program and in the kernel for it.
    cpu: f64,
    /// Peak memory in megabytes.
    memory: f64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, command)) if first == MEASURE => measure_here(command),
        _ => compare(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    shapes: Vec<Shape>,
    sizes: Vec<usize>,
    limit: Duration,
}

impl Options {
    fn of(args: &[String]) -> Result<Options> {
        let mut options = Options {
            shapes: Shape::ALL.to_vec(),
            sizes: vec![1000, 10_000],
            limit: Duration::from_secs(600),
        };
        // What cargo itself adds.
        let mut args = args.iter().filter(|a| *a != "--bench");
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--shapes" => options.shapes = value.split(',').map(Shape::of).collect::<Result<_>>()?,
                "--sizes" => {
                    options.sizes =
                        value.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?;
                }
                "--limit" => options.limit = Duration::from_secs(value.parse()?),
                _ => {
                    return Err(format!("{arg} is no option; there are --shapes, --sizes and --limit").into());
                }
            }
        }
        Ok(options)
    }
}

fn compare(args: &[String]) -> Result<()> {
    let options = Options::of(args)?;
    let terraform = Command::new("terraform").arg("version").stdout(Stdio::null()).status().is_ok();
    if !terraform {
        println!("terraform is not installed: its columns stay empty.");
    }
    println!(
        "| shape | resources | terraform CPU s | groma CPU s | ratio | terraform MB | groma MB | ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for &shape in &options.shapes {
        for &size in &options.sizes {
            let folder = tempfile::tempdir()?;
            shapes::write(shape, size, folder.path())?;
            let ours = best(3, || plan(env!("CARGO_BIN_EXE_groma"), folder.path(), options.limit))?;
            let theirs = match terraform {
                true => best(1, || plan("terraform", folder.path(), options.limit))?,
                false => None,
            };
            println!("{}", row(shape, size, ours, theirs));
        }
    }
    Ok(())
}

fn row(shape: Shape, size: usize, ours: Option<Cost>, theirs: Option<Cost>) -> String {
    let number =
        |value: Option<f64>, digits: usize| value.map_or("—".to_string(), |v| format!("{v:.digits$}"));
    let ratio = |of: fn(&Cost) -> f64| ours.zip(theirs).map(|(o, t)| of(&t) / of(&o));
    format!(
        "| {} | {size} | {} | {} | {} | {} | {} | {} |",
        shape.name(),
        number(theirs.map(|c| c.cpu), 2),
        number(ours.map(|c| c.cpu), 2),
        number(ratio(|c| c.cpu), 0),
        number(theirs.map(|c| c.memory), 0),
        number(ours.map(|c| c.memory), 0),
        number(ratio(|c| c.memory), 1),
    )
}

/// The cheapest of some runs: whatever else the machine does only adds.
fn best(runs: usize, mut run: impl FnMut() -> Result<Option<Cost>>) -> Result<Option<Cost>> {
    let mut best: Option<Cost> = None;
    for _ in 0..runs {
        let Some(cost) = run()? else { return Ok(None) };
        best = Some(best.map_or(cost, |b| if b.cpu <= cost.cpu { b } else { cost }));
    }
    Ok(best)
}

/// Plans a folder; `None`: it took too long.
fn plan(program: &str, folder: &Path, limit: Duration) -> Result<Option<Cost>> {
    // Modules have to be entered in terraform's lock of the folder first; that is not measured.
    let mut init = Command::new(program);
    init.args(["init", "-input=false"]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    init.env("CHECKPOINT_DISABLE", "1").status()?;
    let mut measured = Command::new(std::env::current_exe()?);
    measured.args([MEASURE, &limit.as_secs().to_string(), program, "plan", "-input=false"]);
    let output =
        measured.current_dir(folder).env("CHECKPOINT_DISABLE", "1").stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    match (output.status.success(), numbers.as_slice()) {
        (true, [cpu, memory]) => Ok(Some(Cost { cpu: *cpu, memory: *memory })),
        (true, []) => Ok(None),
        _ => Err(format!("{program} plan failed in {}", folder.display()).into()),
    }
}

/// Runs a command and prints its CPU seconds and its megabytes; nothing where it took longer than the limit, which is
/// the first word.
fn measure_here(command: &[String]) -> Result<()> {
    let [limit, program, args @ ..] = command else { return Err("what is to be measured?".into()) };
    let limit = Duration::from_secs(limit.parse()?);
    setrlimit(Resource::RLIMIT_AS, MEMORY_MAX, MEMORY_MAX)?;
    let mut child = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        // Out of memory is out of the limit as well.
        return if program == "terraform" { Ok(()) } else { Err(format!("{program}: {status}").into()) };
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |t: nix::sys::time::TimeVal| Duration::from_micros(micros(t)).as_secs_f64();
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let kilobytes = u32::try_from(usage.max_rss())?;
    println!("{cpu} {}", f64::from(kilobytes) / 1024.0);
    Ok(())
}

fn micros(time: nix::sys::time::TimeVal) -> u64 {
    use nix::sys::time::TimeValLike;
    u64::try_from(time.num_microseconds()).unwrap_or_default()
}
