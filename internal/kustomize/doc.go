// Package kustomize says which images a kustomization file sets, and changes them byte for byte.
//
// Functions take bytes and return bytes; nothing here touches a file, a clock, the network or a global, so all of it may run
// concurrently and be fuzzed. An edit replaces the text of the values that must change and no other byte: comments, quotes,
// indentation, key order, line endings, a byte order mark and a missing final newline stay as they are, so a reviewer sees one
// changed line per changed field. What cannot be edited that way is refused with file, line and reason, never guessed.
//
// Every edit is proved before it is returned: the result is parsed again and must be the old document plus exactly the wanted
// change. YAML is parsed for positions only and its types never leave the package.
//
// Out of reach of an images: editor, and left to people: images set by patches, HelmRelease values, helmCharts, replacements
// and separate ImageTagTransformer files. Reading and writing files, keeping their mode bits, and not following links out of
// a repository belong to the caller.
//
// # Decisions
//
// Keys are found as kustomize finds them, without regard to case: it decodes through encoding/json, where `newtag` sets newTag,
// and adding a second `newTag` beside it would silently change nothing.
//
// A newName equal to the entry's name is not written where the entry has no newName: it would say nothing.
//
// A newTag that carries a digest (`1.2@sha256:…`) has both halves in one value. Changing one half of it is refused unless the
// other is given too or dropped.
//
// SetImage takes the arguments of `kustomize edit set image`, but what an argument does not name it leaves: kustomize deletes
// newName, newTag and tagSuffix of an entry when the argument does not repeat them. As in kustomize, a new tag drops the old
// digest and a new digest drops the old tag, unless a `*` keeps it.
//
// The deprecated imageTags list is listed by [Read], because kustomize applies it, but never edited.
//
// OtherReplace and OtherDrop leave the same content, because an entry that has only the other half gets its key renamed in
// place either way. Both names exist so that a caller can say what it means.
package kustomize
