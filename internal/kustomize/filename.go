package kustomize

import "path"

// IsKustomization reports whether a file of this name (or at this slash-separated path) is one that kustomize reads as a
// directory's kustomization. Names are compared exactly, as kustomize does.
func IsKustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// FileIn picks the kustomization file among the names in one directory. It gives "" where there is none, and a
// [*SeveralFilesError] where there are several: kustomize builds no such directory, so editing either would be a guess.
func FileIn(names []string) (string, error) {
	var found []string
	for _, name := range names {
		if IsKustomization(name) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", &SeveralFilesError{Names: found}
}
