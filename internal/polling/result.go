package polling

import "github.com/boatlift/boatlift/internal/image"

// Sync is what a person asks for.
type Sync struct {
	Images []image.Name // none: all that environments want of the registries that boatlift.yaml names
	DryRun bool         // nothing is stored
	Actor  string
	Role   string
}

// Step is one image of a sync that is done.
type Step struct {
	Done  int        `json:"done"`
	All   int        `json:"all"`
	Image image.Name `json:"image"`
	Tags  int        `json:"tags"`            // that the registry lists
	Found []Tag      `json:"found"`           // never null
	Error string     `json:"error,omitempty"` // why the registry could not be asked
	Hint  string     `json:"hint,omitempty"`
}

// Change is one image of a proposal.
type Change struct {
	Image  image.Name   `json:"image"`
	From   string       `json:"from,omitempty"`
	Tag    string       `json:"tag"`
	Digest image.Digest `json:"digest"`
}

// Proposal is what a sync leads to in an environment.
type Proposal struct {
	Environment string   `json:"environment"` // owner/name:environment
	App         string   `json:"app"`
	Label       string   `json:"label"`
	Changes     []Change `json:"changes"`
	Open        bool     `json:"open,omitempty"` // there is a pull request already
	Not         string   `json:"not,omitempty"`  // why it is not proposed all the same
}

// Note is why an image that has news is not proposed in an environment.
type Note struct {
	Environment string     `json:"environment"`
	Image       image.Name `json:"image"`
	Tag         string     `json:"tag,omitempty"`
	Say         string     `json:"say"`
	Hint        string     `json:"hint,omitempty"`
}

// Result is what a sync came to.
type Result struct {
	DryRun    bool       `json:"dryRun"`
	Images    int        `json:"images"` // that were asked for
	Failed    int        `json:"failed"` // of them
	Found     int        `json:"found"`  // tags
	Proposals []Proposal `json:"proposals"`
	Notes     []Note     `json:"notes"`
}
