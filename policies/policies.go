package policies

import "embed"

// FS holds the policies and their tests, one pair of files for each: soak.yaml and soak_test.yaml.
//
//go:embed *.yaml
var FS embed.FS
