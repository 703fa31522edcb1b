//! `orzo doctor`: looks at the machine with the eyes of the daemon, says what is wrong, and mends what it can.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use orzo_tuning::{Finding, Plan, Setting, State, System};
use serde_json::{Value, json};

use crate::cli::ConfigFile;
use crate::config::{self, Config};

/// Examples of `orzo doctor`.
pub const EXAMPLES: &str = "\
Examples:
  orzo doctor --config /etc/orzo/orzo.toml
  sudo orzo doctor --config /etc/orzo/orzo.toml --apply
                              change what can be changed, and keep kernel parameters in a sysctl file
  orzo doctor --json | jq '.findings[] | select(.state == \"advice\")'

The exit code is 0 if nothing is to be mended, 1 if there is advice, 2 if something could not be looked at.
";

/// Options of `orzo doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigFile,
    /// Change what a program can change: kernel parameters, also in the sysctl file, and huge pages. As root.
    #[arg(long)]
    apply: bool,
    /// Where --apply keeps kernel parameters for the next start of the machine.
    #[arg(long, value_name = "FILE", default_value = "/etc/sysctl.d/60-orzo.conf")]
    sysctl_file: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Examination {
    is_root: bool,
    findings: Vec<Finding>,
    plan: Plan,
}

impl Doctor {
    /// Looks, mends if asked to, looks again, and says how things stand.
    pub fn run(&self) -> ExitCode {
        let loaded = match config::load(self.config.path()) {
            Ok(loaded) => loaded,
            Err(problems) => {
                eprintln!("{problems}");
                return ExitCode::from(2);
            }
        };
        let mut seen = examine(&loaded.config);
        let mut done = Vec::new();
        if self.apply {
            if !seen.is_root {
                eprintln!("orzo doctor: --apply changes settings of the system: run it as root");
                return ExitCode::from(2);
            }
            match apply(&seen.findings, Path::new("/"), &self.sysctl_file) {
                Ok(lines) => done = lines,
                Err(why) => {
                    eprintln!("orzo doctor: {why}");
                    return ExitCode::from(2);
                }
            }
            seen = examine(&loaded.config);
        }
        if self.json {
            println!("{:#}", seen.json(&done));
        } else {
            print!("{}", seen.text(&done));
        }
        seen.exit_code()
    }
}

fn examine(config: &Config) -> Examination {
    // The directory may not be there yet: what counts is where it will be.
    let data = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let space = rustix::fs::statvfs(there).ok();
    let free_bytes = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    let system = System::read(&fs::canonicalize(there).unwrap_or_else(|_| data.clone()), free_bytes);
    let plan = orzo_tuning::plan(&system.machine, &config.wishes());
    let findings = orzo_tuning::advise(&system, &plan, config.wants());
    Examination { is_root: system.is_root, findings, plan }
}

impl Examination {
    fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    fn exit_code(&self) -> ExitCode {
        match (self.count(State::Advice), self.count(State::Unknown)) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }

    fn text(&self, done: &[String]) -> String {
        let mut text = String::new();
        for line in done {
            text.push_str(&format!("done     {line}\n"));
        }
        for Finding { topic, state, found, why, mend, .. } in &self.findings {
            text.push_str(&format!("{:8} {topic}: {found}\n", state.word()));
            if *state != State::Fine {
                text.push_str(&format!("           why:  {why}\n"));
            }
            if !mend.is_empty() {
                text.push_str(&format!("           mend: {mend}\n"));
            }
        }
        text.push_str("\nThe plan for this machine:\n");
        for reason in &self.plan.reasons {
            text.push_str(&format!("  {reason}\n"));
        }
        text.push_str(&format!("\n{}\n", self.verdict()));
        text
    }

    fn verdict(&self) -> String {
        let (advice, unknown) = (self.count(State::Advice), self.count(State::Unknown));
        let settable = |finding: &&Finding| finding.state == State::Advice && finding.setting.is_some();
        let mut verdict = match advice {
            0 => "Nothing to mend.".to_owned(),
            1 => "One thing to mend.".to_owned(),
            _ => format!("{advice} things to mend."),
        };
        match self.findings.iter().filter(settable).count() {
            0 => {}
            settable => {
                verdict.push_str(&format!(" `orzo doctor --apply`, as root, mends {settable} of them."));
            }
        }
        if unknown > 0 {
            verdict.push_str(&format!(" {unknown} could not be looked at."));
        }
        verdict
    }

    fn json(&self, done: &[String]) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "topic": finding.topic,
                "state": finding.state.word(),
                "found": finding.found,
                "why": finding.why,
                "mend": finding.mend,
                "command": finding.setting.as_ref().map(Setting::command),
            })
        });
        let plan = self
            .plan
            .reasons
            .iter()
            .map(|reason| json!({"key": reason.key, "value": reason.value, "why": reason.why}));
        json!({
            "advice": self.count(State::Advice),
            "unknown": self.count(State::Unknown),
            "done": done,
            "findings": findings.collect::<Vec<_>>(),
            "plan": plan.collect::<Vec<_>>(),
        })
    }
}

/// Makes every setting that is not as it should be, and writes kernel parameters to a file: those, and which it holds
/// already, since a second run, when they are fine, must not lose them.
fn apply(findings: &[Finding], root: &Path, sysctl_file: &Path) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let amiss = findings.iter().filter(|finding| finding.state == State::Advice);
    for setting in amiss.filter_map(|finding| finding.setting.as_ref()) {
        let path = root.join(setting.path());
        fs::write(&path, setting.value()).map_err(failed(&path))?;
        done.push(setting.command());
    }
    let old = fs::read_to_string(sysctl_file).unwrap_or_default();
    let is_kept = |key: &str| old.lines().any(|line| line.starts_with(key));
    let parameters: String = findings
        .iter()
        .filter_map(|finding| match finding.setting.as_ref()? {
            Setting::Sysctl { key, value } if finding.state == State::Advice || is_kept(key) => {
                Some(format!("{key} = {value}\n"))
            }
            _ => None,
        })
        .collect();
    let text =
        format!("# Written by `orzo doctor --apply`; read at each start of the machine.\n{parameters}");
    if parameters.is_empty() || old == text {
        return Ok(done);
    }
    if let Some(directory) = sysctl_file.parent() {
        fs::create_dir_all(directory).map_err(failed(directory))?;
    }
    fs::write(sysctl_file, text).map_err(failed(sysctl_file))?;
    done.push(format!("wrote {}", sysctl_file.display()));
    Ok(done)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> String + '_ {
    move |why| format!("cannot write {}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(state: State, setting: Option<Setting>) -> Finding {
        let mend = if state == State::Advice { "do it" } else { "" };
        Finding { topic: "t", state, found: "f".into(), why: "w", mend: mend.into(), setting }
    }

    fn sysctl(key: &'static str, value: &str) -> Option<Setting> {
        Some(Setting::Sysctl { key, value: value.into() })
    }

    #[test]
    fn what_is_amiss_is_set_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let parameter = |name: &str| root.path().join("proc/sys/net/core").join(name);
        fs::create_dir_all(parameter("x").parent().unwrap()).unwrap();
        let findings = [
            finding(State::Advice, sysctl("net.core.rmem_max", "32")),
            finding(State::Fine, sysctl("net.ipv4.udp_mem", "64")),
            finding(State::Advice, None),
        ];
        let file = root.path().join("etc/sysctl.d/60-orzo.conf");
        let done = apply(&findings, root.path(), &file).unwrap();
        assert_eq!(done, ["sysctl -w net.core.rmem_max=32".to_owned(), format!("wrote {}", file.display())]);
        assert_eq!(fs::read_to_string(parameter("rmem_max")).unwrap(), "32");
        let kept = fs::read_to_string(&file).unwrap();
        assert!(kept.ends_with(".\nnet.core.rmem_max = 32\n"), "{kept}");

        let fine = [findings[1].clone(), finding(State::Fine, sysctl("net.core.rmem_max", "32"))];
        assert!(apply(&fine, root.path(), &file).unwrap().is_empty());
        assert_eq!(fs::read_to_string(&file).unwrap(), kept);
    }

    #[test]
    fn the_exit_code_tells_advice_from_blindness() {
        let code = |states: &[State]| {
            let machine = orzo_tuning::Machine::read();
            let plan = orzo_tuning::plan(&machine, &Config::default().wishes());
            let findings = states.iter().map(|state| finding(*state, None)).collect();
            Examination { is_root: false, findings, plan }.exit_code()
        };
        assert_eq!(code(&[State::Fine, State::Note]), ExitCode::SUCCESS);
        assert_eq!(code(&[State::Unknown, State::Advice]), ExitCode::from(1));
        assert_eq!(code(&[State::Unknown, State::Fine]), ExitCode::from(2));
    }
}
