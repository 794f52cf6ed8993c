//! The module tree of one target, read from its root file along its `mod` lines.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, Token, punctuated::Punctuated};

/// Every module of a target and every file they were read from.
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    pub(crate) files: BTreeSet<PathBuf>,
}

/// One module: where it stands and what it holds besides its child modules.
pub(crate) struct Module {
    /// The names from the root of the crate; empty for the root itself.
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
    /// Whether it, or a module around it, exists in test builds only.
    pub(crate) only_test: bool,
}

/// Gives the text of a file, `None` if there is no such file.
pub(crate) type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// Reads the tree that starts at `root`.
pub(crate) fn read(root: &Path, files: Files<'_>) -> Result<Tree, String> {
    let mut tree = Tree { modules: Vec::new(), files: BTreeSet::new() };
    let folder = root.parent().unwrap_or(Path::new("")).to_owned();
    let place = Place { path: Vec::new(), file: root.to_owned(), folder, only_test: false };
    tree.read_file(place, files)?;
    Ok(tree)
}

struct Place {
    path: Vec<String>,
    file: PathBuf,
    /// Where the files of its child modules lie.
    folder: PathBuf,
    only_test: bool,
}

impl Tree {
    fn read_file(&mut self, place: Place, files: Files<'_>) -> Result<(), String> {
        let name = place.file.display();
        let text = files(&place.file).ok_or_else(|| format!("{name}: cannot be read"))?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| format!("{name}:{}: {error}", error.span().start().line))?;
        self.files.insert(place.file.clone());
        // `#![cfg(test)]` at the head of a file works like `#[cfg(test)]` at its `mod` line.
        let only_test = place.only_test || is_only_test(&parsed.attrs);
        self.add(Place { only_test, ..place }, parsed.items, files)
    }

    fn add(&mut self, place: Place, items: Vec<Item>, files: Files<'_>) -> Result<(), String> {
        let mut own = Vec::new();
        for item in items {
            match item {
                Item::Mod(module) => self.add_child(&place, module, files)?,
                item => own.push(item),
            }
        }
        let Place { path, file, only_test, .. } = place;
        self.modules.push(Module { path, file, items: own, only_test });
        Ok(())
    }

    fn add_child(
        &mut self,
        parent: &Place,
        module: ItemMod,
        files: Files<'_>,
    ) -> Result<(), String> {
        let name = plain(&module.ident);
        let mut path = parent.path.clone();
        path.push(name.clone());
        let only_test = parent.only_test || is_only_test(&module.attrs);
        let folder = parent.folder.join(&name);
        if let Some((_, items)) = module.content {
            let place = Place { path, file: parent.file.clone(), folder, only_test };
            return self.add(place, items, files);
        }
        if let Some(given) = given_path(&module.attrs) {
            let beside = parent.file.parent().unwrap_or(Path::new(""));
            let file = beside.join(given);
            let folder = file.parent().unwrap_or(Path::new("")).to_owned();
            return self.read_file(Place { path, file, folder, only_test }, files);
        }
        let flat = parent.folder.join(format!("{name}.rs"));
        let nested = folder.join("mod.rs");
        let file = if files(&flat).is_some() { flat } else { nested };
        if files(&file).is_none() {
            let (line, from) = (module.ident.span().start().line, parent.file.display());
            return Err(format!("{from}:{line}: module `{name}` has no file"));
        }
        self.read_file(Place { path, file, folder, only_test }, files)
    }
}

/// The name without the `r#` of a raw identifier.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}

fn given_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) => Some(value.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Whether one of the attributes keeps the item out of every build that is not a test.
pub(crate) fn is_only_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition)))
    })
}

fn needs_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else { return condition.path().is_ident("test") };
    let Ok(parts) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
        return false;
    };
    match list.path.get_ident().map(ToString::to_string).as_deref() {
        Some("all") => parts.iter().any(needs_test),
        Some("any") => !parts.is_empty() && parts.iter().all(needs_test),
        _ => false,
    }
}
