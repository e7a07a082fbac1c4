package kustomize

// Other says what happens to the half of an image that a [Change] does not give, tag or digest: kustomize emits both where both
// are set, so a new tag beside an old digest would deploy the old image.
type Other int

const (
	// OtherUndecided refuses the change where the entry has the other half.
	OtherUndecided Other = iota
	// OtherKeep leaves the other half as it stands.
	OtherKeep
	// OtherReplace puts the half given in the place of the other: newTag becomes digest, or the reverse, on the same line.
	OtherReplace
	// OtherDrop removes the other half.
	OtherDrop
)

// Change is what shall become of one entry. A nil field leaves what is there; a pointer to "" removes the key.
type Change struct {
	// Name selects the entry whose name is exactly this string.
	Name string
	// Index selects among several entries of that name, as [Entry.Index] counts. Without it a name that stands twice is refused.
	Index *int

	NewName *string
	Tag     *string
	Digest  *string
	// Other is needed where the entry has a tag and only a digest is given, or the reverse.
	Other Other

	// Add appends an entry where the file has none of that name; without it that is an [*ImageNotListedError].
	Add bool
	// AllowMarked lets a line be changed that a Flux setter marker gives to another controller. A marked tag is never turned into a
	// digest, nor the reverse.
	AllowMarked bool

	// MoveRefs also moves the ?ref= (or ?version=) of remote resources, bases and components that equals the entry's old tag to the
	// new tag: many repositories release manifests and image under one version.
	MoveRefs bool
	// RefsUnder limits MoveRefs to resources whose text begins so, such as "https://github.com/acme/web". Empty moves them all.
	RefsUnder string
}

// Report says what an edit did, or would do.
type Report struct {
	Changed bool // false: the file was right already and the bytes are the same
	// Changes answers the requested changes, in their order.
	Changes []ChangeReport
	// Lines are all changed lines, in the order of the file.
	Lines []LineChange
	// Warnings are sentences for a reviewer: templates replaced, comments that went with their line.
	Warnings []Warning
}

// ChangeReport is what one change did.
type ChangeReport struct {
	Name    string
	Index   int // of the entry, in the edited file
	Changed bool
	Added   bool // the entry is new
	Fields  []FieldChange
	// Lines are the lines that this change touched. Changes that share a line each list it.
	Lines []LineChange
}

// FieldChange is a value before and after; "" is absent. Field is newName, newTag, digest, name (of a new entry) or ref.
type FieldChange struct{ Field, Old, New string }

// LineChange is a line before and after the edit, without line endings.
type LineChange struct {
	Before int    // 1-based in the old file, 0 for a new line
	After  int    // 1-based in the new file, 0 for a line that went
	Old    string // "" for a new line
	New    string // "" for a line that went
}

// Warning is something that a reviewer should know and that is no reason to refuse.
type Warning struct {
	Line int // 1-based in the old file
	Text string
}
