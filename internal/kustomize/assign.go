package kustomize

import (
	"fmt"
	"regexp"
	"strings"
)

// ParseAssignment reads an argument of `set image`. NAME is an entry's name; NEWNAME, TAG and DIGEST are what it gets:
//
//	NAME=:TAG  NAME=@DIGEST  NAME=:TAG@DIGEST       the entry's newName stays
//	NAME=NEWNAME  NAME=NEWNAME:TAG  NAME=NEWNAME@DIGEST  NAME=NEWNAME:TAG@DIGEST
//	NAME:TAG  NAME@DIGEST  NAME:TAG@DIGEST          as NAME=…, for names without a tag of their own
//
// A * in the place of NEWNAME, TAG or DIGEST keeps what is there. A new tag drops an old digest, and a new digest an old tag,
// unless a * keeps it. Registry ports are understood: in host:5000/a/b the colon is no tag. The change adds the entry where it
// is missing. The error is an [*AssignmentError].
func ParseAssignment(arg string) (Change, error) {
	refuse := func(reason string) (Change, error) { return Change{}, &AssignmentError{arg, reason} }
	name, ref, assigned := strings.Cut(arg, "=")
	if !assigned {
		ref = arg
	}
	image, tag, digest, tagged, digested := splitReference(ref)
	if !assigned {
		if !tagged && !digested {
			return refuse("sets neither a tag nor a digest")
		}
		name, image = image, ""
	}
	if name == "" {
		return refuse("the image's name is missing")
	}
	if reason := unwritable(name); reason != "" {
		return refuse("the name " + reason)
	}
	c := Change{Name: name, Other: OtherDrop, Add: true}
	if image != "" && image != "*" {
		if !newNameForm.MatchString(image) {
			return refuse(fmt.Sprintf("the new name %q is not an image name", image))
		}
		c.NewName = &image
	}
	if tagged && tag != "*" {
		if !tagForm.MatchString(tag) {
			return refuse(fmt.Sprintf("the tag %q is not one: letters, digits, _ . and -, at most 128", tag))
		}
		c.Tag = &tag
	}
	if digested && digest != "*" {
		if !validDigest(digest) {
			return refuse(fmt.Sprintf("the digest %q is not one, such as sha256: and 64 hexadecimal digits", digest))
		}
		c.Digest = &digest
	}
	if tag == "*" || digest == "*" {
		c.Other = OtherKeep
	}
	if c.NewName == nil && c.Tag == nil && c.Digest == nil {
		return refuse("sets nothing")
	}
	return c, nil
}

// SetImage does what `kustomize edit set image` is used for, on the bytes of one file: each assignment is read by
// [ParseAssignment], of several for one name the last counts, and a missing entry is added.
func SetImage(path string, src []byte, assignments []string) (out []byte, report Report, err error) {
	var errs []error
	var changes []Change
	at := map[string]int{}
	for _, arg := range assignments {
		c, err := ParseAssignment(arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i, again := at[c.Name]; again {
			changes[i] = c
			continue
		}
		at[c.Name] = len(changes)
		changes = append(changes, c)
	}
	if len(errs) > 0 {
		return nil, Report{}, joined(errs)
	}
	return Edit(path, src, changes)
}

var (
	newNameForm = regexp.MustCompile(`^[A-Za-z0-9$][^\s@=]*$`)
	tagForm     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digestForm  = regexp.MustCompile(`^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]{32,}$`)
	hexadecimal = regexp.MustCompile(`^[0-9a-f]+$`)
)

// validDigest reports whether text is a digest by the OCI image specification: an algorithm, a colon and its encoding, which for
// the registered algorithms has a fixed length.
func validDigest(text string) bool {
	algorithm, encoded, _ := strings.Cut(text, ":")
	switch algorithm {
	case "sha256":
		return len(encoded) == 64 && hexadecimal.MatchString(encoded)
	case "sha512":
		return len(encoded) == 128 && hexadecimal.MatchString(encoded)
	}
	return digestForm.MatchString(text)
}

// splitReference cuts NAME:TAG@DIGEST, each part of which may be missing. A colon before the last slash belongs to a port.
func splitReference(ref string) (name, tag, digest string, tagged, digested bool) {
	name, digest, digested = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag, tagged = name[:i], name[i+1:], true
	}
	return name, tag, digest, tagged, digested
}
