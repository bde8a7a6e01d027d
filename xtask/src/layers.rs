//! `cargo xtask layers`: a crate depends only on crates listed before it, and takes from the
//! workspace what the whole workspace decides.

use anyhow::{Context, ensure};

use crate::finding::{self, Finding};
use crate::flags::Layers;
use crate::workspace::{Member, Workspace};

/// What a member may not decide for itself.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

impl Layers {
    pub(crate) fn run(&self, workspace: &Workspace) -> anyhow::Result<()> {
        finding::conclude("layers", &findings(workspace)?)
    }
}

pub(crate) fn findings(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let mut findings = order_of_members(workspace, &layer_order(workspace)?);
    for (position, member) in workspace.members.iter().enumerate() {
        findings.extend(dependencies(workspace, position, member));
        findings.extend(inheritance(workspace, member)?);
    }
    Ok(findings)
}

/// The layers from the bottom to the top. FEATURES.md has one section for each, in this order, so
/// there is no second list; its last section is about the workspace, whose crate is xtask.
fn layer_order(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let path = workspace.root.join("FEATURES.md");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let order: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|section| if section == "workspace" { "xtask" } else { section }.to_owned())
        .collect();
    ensure!(!order.is_empty(), "FEATURES.md has no `## crate` sections to take the layers from");
    Ok(order)
}

fn order_of_members(workspace: &Workspace, order: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reached = 0;
    for member in workspace.members.iter().filter(|member| !workspace.is_nested(member)) {
        match order.iter().position(|name| *name == member.name) {
            None => findings.push(Finding::in_file(
                "Cargo.toml",
                format!("the member {} is no layer", member.name),
                "give it a section in FEATURES.md where it belongs in the order",
            )),
            Some(position) if position < reached => findings.push(Finding::in_file(
                "Cargo.toml",
                format!("the member {} is listed too late", member.name),
                format!("list the members in the order {}", order.join(", ")),
            )),
            Some(position) => reached = position,
        }
    }
    findings
}

fn dependencies(workspace: &Workspace, position: usize, member: &Member) -> Vec<Finding> {
    let manifest = workspace.relative(&member.folder.join("Cargo.toml"));
    member
        .path_dependencies
        .iter()
        // A crate nested in the folder of the dependent is a part of it, such as its macros.
        .filter(|dependency| !dependency.folder.starts_with(&member.folder))
        .filter_map(|dependency| {
            let below =
                workspace.members.iter().position(|other| other.folder == dependency.folder);
            let what = match below {
                Some(below) if below < position => return None,
                Some(_) => format!(
                    "{} depends on {}, which is listed after it",
                    member.name, dependency.name
                ),
                None => format!(
                    "{} depends on the path of {}, which is no member",
                    member.name, dependency.name
                ),
            };
            let instead = "a layer knows only those below it; move what is shared down";
            Some(Finding::in_file(&manifest, what, instead))
        })
        .collect()
}

fn inheritance(workspace: &Workspace, member: &Member) -> anyhow::Result<Vec<Finding>> {
    let manifest = member.manifest()?;
    let file = workspace.relative(&member.folder.join("Cargo.toml"));
    let mut findings = Vec::new();
    if !inherits(manifest.get("lints")) {
        findings.push(Finding::in_file(
            &file,
            "the lints of the workspace are not taken over",
            "write `[lints]` with `workspace = true`",
        ));
    }
    for key in INHERITED {
        let value = manifest.get("package").and_then(|package| package.get(key));
        if !inherits(value) {
            findings.push(Finding::in_file(
                &file,
                format!("{key} is not taken from the workspace"),
                format!("write `{key}.workspace = true`"),
            ));
        }
    }
    Ok(findings)
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}
