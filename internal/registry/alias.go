package registry

import (
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
)

// aliasSetting says under which name images of a repository manager's repositories are pulled, where that is not the usual one:
// through a virtual repository, or at a host or port of its own.
func aliasSetting(example string) Setting {
	return Setting{
		Name:    "alias",
		Says:    "how images of a repository are pulled, as repository=path, repository=host, repository=host/path, or repository=. where nothing stands between host and image; several with commas",
		Example: example,
		Check: func(value string) error {
			for entry := range strings.SplitSeq(value, ",") {
				if err := checkAlias(strings.TrimSpace(entry)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func checkAlias(entry string) error {
	name, to, ok := strings.Cut(entry, "=")
	if !ok || strings.TrimSpace(name) == "" || strings.TrimSpace(to) == "" {
		return fmt.Errorf("%s is not repository=name", clip(fmt.Sprintf("%+q", entry)))
	}
	host, path := splitAlias(strings.TrimSpace(to))
	if host == "" {
		host = "registry.example"
	}
	if path != "" {
		path += "/"
	}
	if _, err := image.NewName(host, path+"x"); err != nil {
		return fmt.Errorf("%s is no part of an image's name", clip(fmt.Sprintf("%+q", to)))
	}
	return nil
}

// splitAlias takes apart what a repository is called: either part may be missing.
func splitAlias(to string) (host, path string) {
	if to == "." {
		return "", ""
	}
	first, rest, _ := strings.Cut(to, "/")
	if strings.ContainsAny(first, ".:") || first == "localhost" {
		return first, rest
	}
	return "", to
}

// alias is what stands before the image in its name, and its host if that is set. ok is false where nothing is set for the
// repository.
func alias(endpoint Endpoint, repository string) (host, path string, ok bool) {
	for entry := range strings.SplitSeq(endpoint.Settings["alias"], ",") {
		if name, to, found := strings.Cut(entry, "="); found && strings.TrimSpace(name) == repository {
			host, path = splitAlias(strings.TrimSpace(to))
			return host, path, true
		}
	}
	return "", "", false
}

// below joins a path and an image.
func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}
