package image

import (
	"errors"
	"strings"
	"testing"
)

const hex64 = "4a54e221f2315136cab737690bfadc4f759b8cfaf59e764032d47c954dcc852c"

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"nginx":                                            "docker.io/library/nginx",
		"bitnami/redis":                                    "docker.io/bitnami/redis",
		"docker.io/nginx":                                  "docker.io/library/nginx",
		"docker.io/library/nginx":                          "docker.io/library/nginx",
		"index.docker.io/bitnami/redis":                    "docker.io/bitnami/redis",
		"registry-1.docker.io/library/nginx":               "docker.io/library/nginx",
		"registry.hub.docker.com/bitnami/redis":            "docker.io/bitnami/redis",
		"Registry.Acme.io/Shop/Web":                        "registry.acme.io/shop/web",
		"ghcr.io/Acme-Corp/checkout":                       "ghcr.io/acme-corp/checkout",
		"registry.acme.io:5000/web":                        "registry.acme.io:5000/web",
		"localhost/web":                                    "localhost/web",
		"LOCALHOST/web":                                    "localhost/web",
		"localhost:5000/team/api":                          "localhost:5000/team/api",
		"registry:5000/a/b/c/d":                            "registry:5000/a/b/c/d",
		"[::1]:5000/team/api":                              "[::1]:5000/team/api",
		"[2001:DB8::1]/web":                                "[2001:db8::1]/web",
		"acme/web":                                         "docker.io/acme/web",
		"registry.acme.io/a__b/c---d/e.f_g":                "registry.acme.io/a__b/c---d/e.f_g",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/web": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web",
	} {
		got, err := ParseName(in)
		if err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, %v; want %q", in, got, err, want)
		}
		again, err := ParseName(string(got))
		if err != nil || again != got {
			t.Errorf("ParseName(%q) = %q, %v; want the canonical form to stay", got, again, err)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	for _, in := range []string{
		"", "/", "web/", "/web", "a//b", "registry.acme.io/", "registry.acme.io//web", "-web", "web-", "a..b", "a___b",
		"registry.acme.io/shop/../web", "registry.acme.io/shop/.web", "registry_acme.io:5000/web", "registry.acme.io:port/web",
		"registry.acme.io:123456/web", "https://registry.acme.io/web", "user@registry.acme.io/web", "registry.acme.io/we b",
		"web:1.0", "web@sha256:" + hex64, "registry.acme.io/\u212aube", "registry.acme.io/w\x00b", "[::1/web", "[gg::1]/web",
		strings.Repeat("a", 256), "registry.acme.io/" + strings.Repeat("a", 240), strings.Repeat("a", 250), "registry.acme.io/web\n",
	} {
		got, err := ParseName(in)
		var refused *ParseError
		if !errors.As(err, &refused) || !refused.Permanent() {
			t.Errorf("ParseName(%q) = %q, %v; want a ParseError", in, got, err)
		}
	}
}

func TestNewName(t *testing.T) {
	for in, want := range map[[2]string]Name{
		{"Registry.Acme.io", "Shop/Web"}:  "registry.acme.io/shop/web",
		{"127.0.0.1:5055", "team/api"}:    "127.0.0.1:5055/team/api",
		{"index.docker.io", "nginx"}:      "docker.io/library/nginx",
		{"localhost", "web"}:              "localhost/web",
		{"registry:5000", "web"}:          "registry:5000/web",
		{"registry", "web"}:               "", // would be a user of Docker Hub
		{"", "shop/web"}:                  "",
		{"registry.acme.io", ""}:          "",
		{"registry.acme.io/shop", "web"}:  "",
		{"registry.acme.io", "/web"}:      "",
		{"registry.acme.io", "web:1"}:     "",
		{"user@registry.acme.io", "web"}:  "",
		{"https://registry.acme.io", "w"}: "",
	} {
		if got, err := NewName(in[0], in[1]); got != want || (err == nil) != (want != "") {
			t.Errorf("NewName(%q, %q) = %q, %v; want %q", in[0], in[1], got, err, want)
		}
	}
}

func TestNameParts(t *testing.T) {
	name := Name("registry.acme.io:5000/shop/web")
	for what, got := range map[string][2]string{
		"Host":       {name.Host(), "registry.acme.io:5000"},
		"Repository": {name.Repository(), "shop/web"},
		"Base":       {name.Base(), "web"},
		"String":     {name.String(), "registry.acme.io:5000/shop/web"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s of %s = %q; want %q", what, name, got[0], got[1])
		}
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]Ref{
		"nginx":                                 {Name: "docker.io/library/nginx"},
		"nginx:1.27":                            {Name: "docker.io/library/nginx", Tag: "1.27"},
		"localhost:5000/api":                    {Name: "localhost:5000/api"},
		"localhost:5000/api:V1.2_x":             {Name: "localhost:5000/api", Tag: "V1.2_x"},
		"[::1]:5000/api:1":                      {Name: "[::1]:5000/api", Tag: "1"},
		"acme.io/web@sha256:" + hex64:           {Name: "acme.io/web", Digest: "sha256:" + hex64},
		"acme.io/w:2@sha256:" + hex64:           {Name: "acme.io/w", Tag: "2", Digest: "sha256:" + hex64},
		"w@sha512:" + hex64 + hex64:             {Name: "docker.io/library/w", Digest: Digest("sha512:" + hex64 + hex64)},
		"localhost:5000":                        {Name: "docker.io/library/localhost", Tag: "5000"},
		"acme.io/w:" + strings.Repeat("a", 128): {Name: "acme.io/w", Tag: strings.Repeat("a", 128)},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		again, err := Parse(got.String())
		if err != nil || again != got {
			t.Errorf("Parse(%q) = %+v, %v; want the canonical form to stay", got, again, err)
		}
	}
	for _, in := range []string{
		"", ":", "@", "w:", "w@", ":1", "w:.1", "w:-1", "w:a b", "w:1/x:", "w@sha256:" + hex64[1:], "w@sha256:" + strings.ToUpper(hex64),
		"w@md5:" + hex64, "w@sha256:" + hex64 + ":1", "w@sha256:" + hex64 + "@sha256:" + hex64, "w:" + strings.Repeat("a", 129), "w:\u00e9",
	} {
		if got, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %+v; want an error", in, got)
		}
	}
}

func TestParseErrorIsShort(t *testing.T) {
	_, err := Parse(strings.Repeat("x\n", 100_000))
	if got := err.Error(); len(got) > 400 || strings.Contains(got, "\n") {
		t.Errorf("error has %d bytes; want one short line", len(got))
	}
}

func TestDigestShort(t *testing.T) {
	for in, want := range map[Digest]string{"sha256:" + hex64: "4a54e221f231", "": "", "sha256:12": "sha256:12", "odd": "odd"} {
		if got := in.Short(); got != want {
			t.Errorf("Digest(%q).Short() = %q; want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"nginx", "registry.acme.io:5000/shop/web:1.4.2@sha256:" + hex64, "[::1]:5000/a/b:x", "docker.io/nginx", "a/b/c", "LOCALHOST/x",
		"index.docker.io/x", "a:1@", "\u212a/x", "localhost:5000",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := Parse(in)
		if err != nil {
			if ref != (Ref{}) {
				t.Fatalf("Parse(%q) = %+v and %v; want nothing beside an error", in, ref, err)
			}
			return
		}
		again, err := Parse(ref.String())
		if err != nil || again != ref {
			t.Fatalf("Parse(%q) = %+v, but its text %q gives %+v, %v", in, ref, ref, again, err)
		}
		name, err := ParseName(string(ref.Name))
		if err != nil || name != ref.Name || name.Host() == "" || name.Repository() == "" || name.Base() == "" {
			t.Fatalf("Parse(%q).Name = %q is not canonical: %q, %v", in, ref.Name, name, err)
		}
	})
}
