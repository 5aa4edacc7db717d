//! The one strict reading of XML: no DTD, no processing instructions, caps, and nothing that two readers could see
//! differently.

use std::collections::HashSet;

use bergshamra::c14n::{C14nMode, canonicalize_doc};
use bergshamra::xml::NodeSet;
use uppsala::{Document, NodeId, NodeKind, Parser};

use crate::sso::{Check, SsoError};

/// Elements inside each other.
const MAX_DEPTH: u32 = 64;
/// Attributes and namespace declarations of one element.
const MAX_ATTRIBUTES: usize = 64;
/// Attributes by which signatures find what they sign (XML Signature §4.4.3 leaves it open; SAML has `ID`).
const ID_NAMES: [&str; 4] = ["ID", "Id", "id", "AssertionID"];

/// How much XML is read.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) nodes: usize,
}

/// For messages: a response with a thousand groups has some 60 kB and 3,000 nodes.
pub(super) const MESSAGE: Limits = Limits { bytes: 300_000, nodes: 20_000 };
/// For metadata: that of Entra ID, with its role descriptors, has some 100 kB.
pub(super) const METADATA: Limits = Limits { bytes: 2_000_000, nodes: 100_000 };

/// Reads XML.
///
/// # Errors
/// [`Check::Limit`] and [`Check::Malformed`].
pub(super) fn parse(text: &str, limits: Limits) -> Result<Document<'_>, SsoError> {
    if text.len() > limits.bytes {
        return Err(limit(format!("the XML has {} bytes, {} are read", text.len(), limits.bytes)));
    }
    scan(text.as_bytes(), limits)?;
    let document = Parser::new()
        .with_max_depth(MAX_DEPTH)
        .with_forbid_dtd(true)
        .with_forbid_entities(true)
        .with_max_entity_expansion(0)
        .parse(text)
        .map_err(|error| unreadable(&error))?;
    inspect(&document, limits)?;
    Ok(document)
}

/// Counts tags and what stands in them before the parser, whose check for doubled attributes takes the square of their number.
///
/// Where this reads something else than the parser does, the text is not well-formed before that place.
fn scan(text: &[u8], limits: Limits) -> Result<(), SsoError> {
    let (mut at, mut tags) = (0, 0_usize);
    while let Some(begin) = memchr::memchr(b'<', &text[at..]) {
        at += begin;
        tags += 1;
        if tags > limits.nodes * 2 {
            return Err(limit(format!("the XML has more than {} nodes", limits.nodes)));
        }
        let end: Option<&[u8]> = match &text[at..] {
            [b'<', b'!', b'-', b'-', ..] => Some(b"-->"),
            [b'<', b'!', b'[', ..] => Some(b"]]>"),
            [b'<', b'?', ..] => Some(b"?>"),
            _ => None,
        };
        at += match end {
            Some(end) => memchr::memmem::find(&text[at..], end).map_or(text.len() - at, |found| found + end.len()),
            None => scan_tag(&text[at..])?,
        };
    }
    Ok(())
}

/// The length of a tag.
fn scan_tag(text: &[u8]) -> Result<usize, SsoError> {
    let (mut quote, mut attributes) = (None, 0);
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Ok(at + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'=') => attributes += 1,
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
        if attributes > MAX_ATTRIBUTES {
            return Err(limit(format!("an element has more than {MAX_ATTRIBUTES} attributes")));
        }
    }
    Ok(text.len())
}

fn unreadable(error: &uppsala::XmlError) -> SsoError {
    let text = error.to_string();
    let check = if text.contains("depth") { Check::Limit } else { Check::Malformed };
    SsoError::new(check, format!("the XML cannot be read: {text}"))
}

fn limit(detail: String) -> SsoError {
    SsoError::new(Check::Limit, detail)
}

fn malformed(detail: impl Into<String>) -> SsoError {
    SsoError::new(Check::Malformed, detail)
}

/// Refuses what well-formed XML may hold and no message of SAML does.
fn inspect(document: &Document<'_>, limits: Limits) -> Result<(), SsoError> {
    if document.doctype.is_some() {
        return Err(malformed("the XML has a document type"));
    }
    if let Some(declaration) = &document.xml_declaration {
        let encoding = declaration.encoding.as_deref().unwrap_or("UTF-8");
        if declaration.version != "1.0" || !encoding.eq_ignore_ascii_case("UTF-8") {
            return Err(malformed("the XML is not version 1.0 in UTF-8"));
        }
    }
    let mut ids = HashSet::new();
    let mut count = 0_usize;
    let mut next = vec![document.root()];
    while let Some(id) = next.pop() {
        count += 1;
        if count > limits.nodes {
            return Err(limit(format!("the XML has more than {} nodes", limits.nodes)));
        }
        match document.node_kind(id) {
            Some(NodeKind::Element(element)) => {
                inspect_element(element, &mut ids)?;
                inspect_children(document, id)?;
            }
            Some(NodeKind::ProcessingInstruction(_)) => return Err(malformed("the XML has a processing instruction")),
            _ => {}
        }
        next.extend(document.children_iter(id));
    }
    Ok(())
}

fn inspect_element<'d>(element: &'d uppsala::Element<'_>, ids: &mut HashSet<&'d str>) -> Result<(), SsoError> {
    if element.attributes.len() + element.namespace_declarations.len() > MAX_ATTRIBUTES {
        return Err(limit(format!("an element has more than {MAX_ATTRIBUTES} attributes")));
    }
    for (prefix, uri) in &element.namespace_declarations {
        // A relative name makes some canonicalisers give up and sign nothing at all.
        if !(uri.contains(':') || prefix.is_empty() && uri.is_empty()) {
            return Err(malformed(format!("the namespace \"{uri}\" is not an absolute URI")));
        }
        if prefix.starts_with("xml") {
            return Err(malformed(format!("the prefix \"{prefix}\" is declared")));
        }
    }
    let names = std::iter::once(&element.name).chain(element.attributes.iter().map(|attribute| &attribute.name));
    for name in names {
        if name.local_name.contains(':') || name.prefix.as_ref().is_some_and(|prefix| prefix.contains(':')) {
            return Err(malformed(format!("the name \"{}\" has two colons", name.local_name)));
        }
    }
    let mut own = 0;
    for attribute in &element.attributes {
        let name = &attribute.name;
        if !ID_NAMES.contains(&&*name.local_name) {
            continue;
        }
        own += 1;
        if name.namespace_uri.is_some() || name.prefix.is_some() || own > 1 {
            return Err(malformed("an element has an identifier in a namespace, or two"));
        }
        if !ids.insert(&attribute.value) {
            return Err(malformed(format!("the identifier \"{}\" is there twice", attribute.value)));
        }
    }
    Ok(())
}

/// A comment beside text splits what one reader sees as one value and another as two; canonical form drops it.
fn inspect_children(document: &Document<'_>, parent: NodeId) -> Result<(), SsoError> {
    let (mut comment, mut text) = (false, false);
    for child in document.children_iter(parent) {
        match document.node_kind(child) {
            Some(NodeKind::Comment(_)) => comment = true,
            Some(NodeKind::Text(value)) => text |= !is_blank(value),
            Some(NodeKind::CData(_)) => text = true,
            _ => {}
        }
    }
    if comment && text {
        return Err(malformed("a value has a comment inside"));
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// An element.
#[derive(Clone, Copy)]
pub(super) struct Node<'d, 't> {
    pub(super) document: &'d Document<'t>,
    pub(super) id: NodeId,
    element: &'d uppsala::Element<'t>,
}

impl<'d, 't> Node<'d, 't> {
    /// The outermost element.
    pub(super) fn root(document: &'d Document<'t>) -> Result<Self, SsoError> {
        let root = document.document_element().and_then(|id| Self::new(document, id));
        root.ok_or_else(|| malformed("the XML has no element"))
    }

    fn new(document: &'d Document<'t>, id: NodeId) -> Option<Self> {
        Some(Self { document, id, element: document.element(id)? })
    }

    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        self.element.name.matches(Some(namespace), name)
    }

    /// The name without its prefix.
    pub(super) fn name(&self) -> &'d str {
        &self.element.name.local_name
    }

    /// An attribute without a namespace: one of that name in a namespace is another attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&'d str> {
        let mut attributes = self.element.attributes.iter();
        attributes.find(|attribute| attribute.name.matches(None, name)).map(|attribute| &*attribute.value)
    }

    /// An attribute that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'d str, SsoError> {
        self.attribute(name).ok_or_else(|| malformed(format!("{} has no {name}", self.name())))
    }

    /// The elements below, in their order.
    pub(super) fn children(self) -> impl Iterator<Item = Node<'d, 't>> {
        self.document.children_iter(self.id).filter_map(move |id| Self::new(self.document, id))
    }

    /// Refuses text between the elements below.
    pub(super) fn holds_elements_only(&self) -> Result<(), SsoError> {
        for child in self.document.children_iter(self.id) {
            let text = match self.document.node_kind(child) {
                Some(NodeKind::Text(text)) => !is_blank(text),
                Some(NodeKind::CData(_)) => true,
                _ => false,
            };
            if text {
                return Err(malformed(format!("{} has text between its elements", self.name())));
            }
        }
        Ok(())
    }

    /// All elements below of that name.
    pub(super) fn all(self, namespace: &'static str, name: &'static str) -> impl Iterator<Item = Node<'d, 't>> {
        self.children().filter(move |child| child.is(namespace, name))
    }

    /// The element of that name, of which there is at most one.
    pub(super) fn optional(self, namespace: &'static str, name: &'static str) -> Result<Option<Self>, SsoError> {
        let mut found = self.all(namespace, name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(malformed(format!("{} has several {name}", self.name()))),
            None => Ok(first),
        }
    }

    /// The one element of that name.
    pub(super) fn one(self, namespace: &'static str, name: &'static str) -> Result<Self, SsoError> {
        let found = self.optional(namespace, name)?;
        found.ok_or_else(|| malformed(format!("{} has no {name}", self.name())))
    }

    /// The text of an element that holds nothing else.
    pub(super) fn text(&self) -> Result<String, SsoError> {
        let mut text = String::new();
        for child in self.document.children_iter(self.id) {
            match self.document.node_kind(child) {
                Some(NodeKind::Text(part) | NodeKind::CData(part)) => text.push_str(part),
                // Beside text it was refused when the document was read.
                Some(NodeKind::Comment(_)) => {}
                _ => return Err(malformed(format!("{} holds more than text", self.name()))),
            }
        }
        Ok(text)
    }

    /// The same without blanks around it: for identifiers, which never have any.
    pub(super) fn token(&self) -> Result<String, SsoError> {
        Ok(self.text()?.trim_matches([' ', '\t', '\r', '\n']).to_owned())
    }

    /// The text without any blanks: for base64, which is often broken into lines.
    pub(super) fn packed(&self) -> Result<String, SsoError> {
        Ok(self.text()?.split([' ', '\t', '\r', '\n']).collect())
    }

    pub(super) fn parent(&self) -> Option<Self> {
        self.document.parent(self.id).and_then(|id| Self::new(self.document, id))
    }

    /// This element and all below.
    pub(super) fn descendants(self) -> impl Iterator<Item = Node<'d, 't>> {
        let mut next = vec![self];
        std::iter::from_fn(move || {
            let node = next.pop()?;
            next.extend(node.children());
            Some(node)
        })
    }

    /// The namespaces that hold here, as they would be declared.
    pub(super) fn namespaces(&self) -> Vec<(&'d str, &'d str)> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        let mut at = Some(*self);
        while let Some(node) = at {
            for (prefix, uri) in &node.element.namespace_declarations {
                if !found.iter().any(|(known, _)| known == prefix) {
                    found.push((prefix, uri));
                }
            }
            at = node.parent();
        }
        found
    }

    /// The exclusive canonical form without comments (and without `except`, a subtree): what a signature covers.
    pub(super) fn canonical(&self, except: Option<Self>, prefixes: &[String]) -> Result<String, SsoError> {
        let mut nodes = NodeSet::tree_without_comments(self.id, self.document);
        let mut out: Vec<NodeId> = except.iter().map(|node| node.id).collect();
        while let Some(id) = out.pop() {
            nodes.remove_id(id);
            out.extend(self.document.children_iter(id));
        }
        let bytes = canonicalize_doc(self.document, C14nMode::Exclusive, Some(&nodes), prefixes)
            .map_err(|error| malformed(format!("the XML has no canonical form: {error}")))?;
        String::from_utf8(bytes).map_err(|_| malformed("the canonical form is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Check {
        parse(text, MESSAGE).map(|_| ()).expect_err(text).check
    }

    #[test]
    fn s06_declarations_of_types_and_entities_are_refused() {
        for text in [
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
            "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/x.dtd'><a/>",
            "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
            "<!DOCTYPE a [<!ENTITY % e SYSTEM 'http://127.0.0.1:1/'> %e;]><a/>",
            "<a>&e;</a>",
            "<?xml-stylesheet href='http://127.0.0.1:1/'?><a/>",
            "<a><?b c?></a>",
            "<?xml version='1.1'?><a/>",
            "<?xml version='1.0' encoding='UTF-16'?><a/>",
        ] {
            assert_eq!(refused(text), Check::Malformed, "{text}");
        }
    }

    #[test]
    fn s07_depth_size_nodes_and_attributes_are_capped() {
        let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
        let wide = format!("<a>{}</a>", "<b/>".repeat(20_001));
        let attributes = format!("<a {}/>", (0..65).map(|n| format!("a{n}=''")).collect::<Vec<_>>().join(" "));
        let long = format!("<a>{}</a>", "x".repeat(300_001));
        for text in [deep, wide, attributes, long] {
            assert_eq!(refused(&text), Check::Limit);
        }
        parse(&format!("{}{}", "<a>".repeat(60), "</a>".repeat(60)), MESSAGE).unwrap();
    }

    #[test]
    fn s08_confused_namespaces_and_identifiers_are_refused() {
        for text in [
            "<a ID='x'><b ID='x'/></a>",
            "<a ID='x'><b Id='x'/></a>",
            "<a ID='x' id='y'/>",
            "<a xmlns:n='urn:n' n:ID='x'/>",
            "<a xml:id='x'/>",
            "<a xmlns='1'/>",
            "<a xmlns:n='relative'/>",
            "<a xmlns:n=''/>",
            "<a xmlns:xml='urn:other'/>",
            "<a xmlns:xmlns='urn:other'/>",
            "<n:a/>",
            "<a:b:c xmlns:a='urn:a'/>",
            "<:a/>",
            "<a x='1' x='2'/>",
            "<a xmlns:n='urn:n' xmlns:m='urn:n' n:x='1' m:x='2'/>",
        ] {
            assert_eq!(refused(text), Check::Malformed, "{text}");
        }
    }

    #[test]
    fn s05_a_comment_in_a_value_is_refused() {
        assert_eq!(refused("<a>admin@acme.example<!---->.evil.example</a>"), Check::Malformed);
        let document = parse("<a><!-- between elements --><b>x<![CDATA[<y>]]></b></a>", MESSAGE).unwrap();
        let root = Node::root(&document).unwrap();
        assert_eq!(root.children().next().unwrap().text().unwrap(), "x<y>");
        assert_eq!(root.canonical(None, &[]).unwrap(), "<a><b>x&lt;y&gt;</b></a>");
    }

    #[test]
    fn attributes_and_elements_are_found_by_namespace() {
        let document = parse("<a xmlns='urn:a' xmlns:n='urn:n' n:x='1' x='2'><n:b/><b/></a>", MESSAGE).unwrap();
        let root = Node::root(&document).unwrap();
        assert!(root.is("urn:a", "a"));
        assert_eq!(root.attribute("x"), Some("2"));
        assert_eq!(root.all("urn:n", "b").count(), 1);
        assert_eq!(root.children().count(), 2);
        assert_eq!(root.namespaces().len(), 2);
    }
}
