//! Which top-level module of a crate names which other one, and where.
//!
//! The root (`lib.rs`, `main.rs`) is no module of the graph: it may name all of them. A name that
//! it re-exports stands for the module that it comes from, so `crate::Error` is an arrow to `error`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, File, ImplItem, Item, ItemMod, ItemUse, Lit, LitStr, Macro, Meta, TraitItem,
    UseTree,
    visit::{self, Visit},
};

use crate::house_rules::{
    circle::Arrows,
    tree::{Module, Tree, is_only_test, plain},
};

/// The arrows between the top-level modules, and what makes them impossible to know.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) arrows: Arrows,
    pub(crate) problems: Vec<String>,
}

/// Returns the graph of a target, without what exists in tests only.
pub(crate) fn of(tree: &Tree) -> Graph {
    let modules: Vec<&Module> = tree.modules.iter().filter(|module| !module.only_test).collect();
    let root = Root::of(&modules);
    let mut graph = Graph::default();
    for module in modules.into_iter().filter(|module| !module.path.is_empty()) {
        graph.arrows.entry(module.path[0].clone()).or_default();
        let mut reader = Reader::new(&root, module, &mut graph);
        module.items.iter().for_each(|item| reader.learn_aliases(item));
        module.items.iter().for_each(|item| reader.visit_item(item));
    }
    graph
}

/// What a name directly below `crate::` stands for.
struct Root {
    /// Name → top-level module; modules stand for themselves.
    names: BTreeMap<String, String>,
}

impl Root {
    fn of(modules: &[&Module]) -> Self {
        let tops = modules.iter().filter_map(|module| module.path.first());
        let mut names: BTreeMap<String, String> =
            tops.map(|top| (top.clone(), top.clone())).collect();
        let items = modules.iter().filter(|module| module.path.is_empty()).flat_map(|m| &m.items);
        let mut exports = Vec::new();
        for item in items {
            if let Item::Use(item) = item
                && !is_only_test(&item.attrs)
                && item.leading_colon.is_none()
            {
                leaves(&item.tree, &mut Vec::new(), &mut exports);
            }
        }
        for leaf in exports {
            let rest = match leaf.path.first().map(|segment| segment.name.as_str()) {
                Some("crate" | "self") => &leaf.path[1..],
                _ => &leaf.path[..],
            };
            let Some(module) = rest.first().and_then(|first| names.get(&first.name)) else {
                continue;
            };
            if let Some(bound) = leaf.bound {
                let module = module.clone();
                names.entry(bound).or_insert(module);
            }
        }
        Self { names }
    }
}

/// One name of a path and the line that it stands on.
#[derive(Clone)]
struct Segment {
    name: String,
    line: usize,
}

impl Segment {
    fn of(ident: &syn::Ident) -> Self {
        Self { name: plain(ident), line: ident.span().start().line }
    }
}

/// One name that a `use` brings in.
struct Leaf {
    path: Vec<Segment>,
    /// The name it has afterwards; `None` for a glob.
    bound: Option<String>,
}

/// Flattens `a::{b, c::{self, d as e}, f::*}` into its leaves.
fn leaves(tree: &UseTree, prefix: &mut Vec<Segment>, into: &mut Vec<Leaf>) {
    let leaf = |prefix: &[Segment], ident: &syn::Ident, bound: &syn::Ident| {
        let mut path = prefix.to_vec();
        // `a::{self}` is `a`; a lone `self` or `crate` is kept: it is the first name.
        if ident != "self" || path.is_empty() {
            path.push(Segment::of(ident));
        }
        let bound =
            if bound == "self" { path.last().map(|s| s.name.clone()) } else { Some(plain(bound)) };
        Leaf { path, bound }
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(Segment::of(&path.ident));
            leaves(&path.tree, prefix, into);
            prefix.pop();
        }
        UseTree::Name(name) => into.push(leaf(prefix, &name.ident, &name.ident)),
        UseTree::Rename(rename) => into.push(leaf(prefix, &rename.ident, &rename.rename)),
        UseTree::Glob(_) => into.push(Leaf { path: prefix.clone(), bound: None }),
        UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, prefix, into)),
    }
}

struct Reader<'a> {
    root: &'a Root,
    graph: &'a mut Graph,
    file: PathBuf,
    /// Where the reader is; inline modules in function bodies lengthen it.
    here: Vec<String>,
    /// Names that stand for the crate root, from `use crate as root`.
    aliases: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Root, module: &Module, graph: &'a mut Graph) -> Self {
        let (file, here) = (module.file.clone(), module.path.clone());
        Self { root, graph, file, here, aliases: BTreeSet::new() }
    }

    fn learn_aliases(&mut self, item: &Item) {
        let mut found = Vec::new();
        if let Item::Use(item) = item {
            leaves(&item.tree, &mut Vec::new(), &mut found);
        }
        for leaf in found {
            if let Some(bound) = leaf.bound
                && self.absolute(&leaf.path).is_some_and(|path| path.is_empty())
            {
                self.aliases.insert(bound);
            }
        }
    }

    /// Turns a path into the names below the crate root; `None` if it does not start in the crate.
    fn absolute(&self, path: &[Segment]) -> Option<Vec<String>> {
        let first = path.first()?.name.as_str();
        let mut skip = 1;
        let mut names = match first {
            "crate" => Vec::new(),
            "self" => self.here.clone(),
            "super" => {
                skip = 0;
                self.here.clone()
            }
            alias if self.aliases.contains(alias) => Vec::new(),
            _ => return None,
        };
        for segment in &path[skip..] {
            match segment.name.as_str() {
                "super" => {
                    names.pop();
                }
                name => names.push(name.to_owned()),
            }
        }
        Some(names)
    }

    fn record(&mut self, path: &[Segment], glob: bool) {
        let Some(names) = self.absolute(path) else { return };
        let line = path[0].line;
        let place = || {
            let text: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
            format!("{}:{line}  {}", self.file.display(), text.join("::"))
        };
        let Some(first) = names.first() else {
            if glob {
                let problem = format!("{}::*: name what is used of the crate root", place());
                self.graph.problems.push(problem);
            }
            return;
        };
        // Whatever else the root itself defines is no arrow between modules.
        let Some(target) = self.root.names.get(first) else { return };
        let from = &self.here[0];
        if target != from {
            let place = place();
            let arrows = self.graph.arrows.entry(from.clone()).or_default();
            arrows.entry(target.clone()).or_insert(place);
        }
    }

    /// Finds paths among the tokens of a macro, where nothing says what is a path.
    fn scan(&mut self, tokens: TokenStream, with_text: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.scan(group.stream(), with_text),
                TokenTree::Ident(first) if is_colons(&tokens, at + 1) => {
                    let mut path = vec![Segment::of(first)];
                    while is_colons(&tokens, at + 1) {
                        match tokens.get(at + 3) {
                            Some(TokenTree::Ident(next)) => path.push(Segment::of(next)),
                            Some(TokenTree::Group(group))
                                if group.delimiter() == Delimiter::Brace =>
                            {
                                self.scan_group(&path, group.stream());
                                break;
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    self.record(&path, false);
                }
                TokenTree::Literal(literal) if with_text => {
                    if let Lit::Str(text) = Lit::new(literal.clone()) {
                        self.scan_text(&text);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// The braces of `crate::{a, b::c}` inside a macro.
    fn scan_group(&mut self, prefix: &[Segment], group: TokenStream) {
        let mut is_first = true;
        for token in group {
            match token {
                TokenTree::Ident(ident) if is_first => {
                    let mut path = prefix.to_vec();
                    path.push(Segment::of(&ident));
                    self.record(&path, false);
                    is_first = false;
                }
                TokenTree::Punct(punct) => is_first = punct.as_char() == ',',
                _ => {}
            }
        }
    }

    /// Attributes name paths in text too: `#[serde(with = "crate::time::millis")]`.
    fn scan_text(&mut self, text: &LitStr) {
        if let Ok(path) = text.parse::<syn::Path>() {
            self.visit_path(&path);
        }
    }
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(at) && colon(at + 1)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_only_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let only_test = match item {
            ImplItem::Fn(item) => is_only_test(&item.attrs),
            ImplItem::Const(item) => is_only_test(&item.attrs),
            _ => false,
        };
        if !only_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        if !matches!(item, TraitItem::Fn(item) if is_only_test(&item.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.here.push(plain(&module.ident));
        visit::visit_item_mod(self, module);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let mut found = Vec::new();
            leaves(&item.tree, &mut Vec::new(), &mut found);
            for leaf in found {
                self.record(&leaf.path, leaf.bound.is_none());
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names: Vec<Segment> = path.segments.iter().map(|s| Segment::of(&s.ident)).collect();
            self.record(&names, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), true);
        }
    }

    fn visit_file(&mut self, _: &'ast File) {
        unreachable!("modules are read item by item");
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
