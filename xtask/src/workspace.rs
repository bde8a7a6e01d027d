//! The workspace as `cargo metadata` describes it: members in manifest order, with their targets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// The workspace of the current directory.
pub(crate) struct Workspace {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// In the order of the root manifest, which is the layer order. A crate nested in the folder of
    /// another follows it.
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Absolute.
    pub(crate) folder: PathBuf,
    /// False when the manifest says `publish = false`.
    pub(crate) is_published: bool,
    pub(crate) targets: Vec<Target>,
    /// Crates it reaches by path, through dependencies of every kind.
    pub(crate) path_dependencies: Vec<PathDependency>,
}

/// Something cargo builds from one root file.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: TargetKind,
    /// The root file, absolute.
    pub(crate) source: PathBuf,
    /// False for `harness = false`: a program with a `main` of its own.
    pub(crate) has_harness: bool,
    /// The target is left out by cargo unless these are on.
    pub(crate) required_features: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TargetKind {
    Library,
    Binary,
    Test,
    Bench,
    Example,
}

pub(crate) struct PathDependency {
    pub(crate) name: String,
    /// Absolute.
    pub(crate) folder: PathBuf,
}

impl Workspace {
    /// Asks cargo about the workspace of the current directory.
    pub(crate) fn load() -> anyhow::Result<Workspace> {
        Workspace::at(Path::new("."))
    }

    /// Asks cargo about the workspace that `folder` lies in.
    pub(crate) fn at(folder: &Path) -> anyhow::Result<Workspace> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(folder)
            .output()
            .context("cannot start `cargo metadata`; is cargo on the PATH?")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .context("`cargo metadata` printed what xtask cannot read")?;
        let packages: HashMap<&str, &Package> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let members = metadata
            .workspace_members
            .iter()
            .map(|id| {
                packages
                    .get(id.as_str())
                    .with_context(|| format!("`cargo metadata` lists no package {id}"))
                    .and_then(|package| member(package))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Workspace { root: metadata.workspace_root, target: metadata.target_directory, members })
    }

    /// The member of this name, or an error that lists the names there are.
    pub(crate) fn member(&self, name: &str) -> anyhow::Result<&Member> {
        self.position(name).map(|position| &self.members[position])
    }

    /// The members up to the one named, or all; crates nested in the folder of the last come along.
    pub(crate) fn members_to(&self, last: Option<&str>) -> anyhow::Result<&[Member]> {
        let Some(last) = last else { return Ok(&self.members) };
        let position = self.position(last)?;
        let folder = &self.members[position].folder;
        let nested = self.members[position + 1..]
            .iter()
            .take_while(|member| member.folder.starts_with(folder))
            .count();
        Ok(&self.members[..=position + nested])
    }

    /// The member named, or all of them.
    pub(crate) fn members_named(&self, name: Option<&str>) -> anyhow::Result<Vec<&Member>> {
        match name {
            Some(name) => Ok(vec![self.member(name)?]),
            None => Ok(self.members.iter().collect()),
        }
    }

    /// The member in whose folder the path lies; the innermost when crates are nested.
    pub(crate) fn member_of(&self, path: &Path) -> Option<&Member> {
        self.members
            .iter()
            .filter(|member| path.starts_with(&member.folder))
            .max_by_key(|member| member.folder.components().count())
    }

    /// True for a crate in the folder of another one, such as the macros of a crate.
    pub(crate) fn is_nested(&self, member: &Member) -> bool {
        self.members
            .iter()
            .any(|other| other.name != member.name && member.folder.starts_with(&other.folder))
    }

    /// The path as written from the root, for messages.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    fn position(&self, name: &str) -> anyhow::Result<usize> {
        self.members.iter().position(|member| member.name == name).with_context(|| {
            let names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
            format!("no crate is named {name}; the members are {}", names.join(", "))
        })
    }
}

impl Member {
    /// The library, if the crate has one.
    pub(crate) fn library(&self) -> Option<&Target> {
        self.targets_of(TargetKind::Library).next()
    }

    /// The targets of one kind, in cargo's order.
    pub(crate) fn targets_of(&self, kind: TargetKind) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.kind == kind)
    }

    /// The test target of this name, if there is one.
    pub(crate) fn test(&self, name: &str) -> Option<&Target> {
        self.targets_of(TargetKind::Test).find(|target| target.name == name)
    }

    /// Its manifest as TOML.
    pub(crate) fn manifest(&self) -> anyhow::Result<toml::Table> {
        read_toml(&self.folder.join("Cargo.toml"))
    }
}

/// Reads a TOML file; the error names it.
pub(crate) fn read_toml(path: &Path) -> anyhow::Result<toml::Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is not valid TOML", path.display()))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    manifest_path: PathBuf,
    publish: Option<Vec<String>>,
    targets: Vec<MetadataTarget>,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    path: Option<PathBuf>,
}

fn member(package: &Package) -> anyhow::Result<Member> {
    let folder = package
        .manifest_path
        .parent()
        .with_context(|| format!("{} has no folder", package.manifest_path.display()))?
        .to_path_buf();
    let manifest = read_toml(&package.manifest_path)?;
    let targets = package
        .targets
        .iter()
        .filter_map(|target| {
            let kind = target_kind(&target.kind)?;
            Some(Target {
                name: target.name.clone(),
                kind,
                source: target.src_path.clone(),
                has_harness: has_harness(&manifest, kind, &target.name),
                required_features: target.required_features.clone(),
            })
        })
        .collect();
    let path_dependencies = package
        .dependencies
        .iter()
        .filter_map(|dependency| {
            let folder = dependency.path.clone()?;
            Some(PathDependency { name: dependency.name.clone(), folder })
        })
        .collect();
    Ok(Member {
        name: package.name.clone(),
        version: package.version.clone(),
        folder,
        is_published: package.publish.as_ref().is_none_or(|registries| !registries.is_empty()),
        targets,
        path_dependencies,
    })
}

/// Build scripts have no kind of ours: no gate runs them by themselves.
fn target_kind(kinds: &[String]) -> Option<TargetKind> {
    kinds.iter().find_map(|kind| match kind.as_str() {
        "lib" | "rlib" | "dylib" | "cdylib" | "staticlib" | "proc-macro" => {
            Some(TargetKind::Library)
        }
        "bin" => Some(TargetKind::Binary),
        "test" => Some(TargetKind::Test),
        "bench" => Some(TargetKind::Bench),
        "example" => Some(TargetKind::Example),
        _ => None,
    })
}

/// `cargo metadata` does not tell, so the manifest is asked.
fn has_harness(manifest: &toml::Table, kind: TargetKind, name: &str) -> bool {
    let section = match kind {
        TargetKind::Test => "test",
        TargetKind::Bench => "bench",
        TargetKind::Library | TargetKind::Binary | TargetKind::Example => return true,
    };
    let entries = manifest.get(section).and_then(toml::Value::as_array);
    entries
        .into_iter()
        .flatten()
        .find(|entry| entry.get("name").and_then(toml::Value::as_str) == Some(name))
        .and_then(|entry| entry.get("harness"))
        .and_then(toml::Value::as_bool)
        .unwrap_or(true)
}
