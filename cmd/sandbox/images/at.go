package images

// At is a registry that another process runs: images can be pushed to it and asked for. Close leaves it alone.
func At(host string) *Registry { return &Registry{host: host} }
