package kustomize

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// typical is a file of the size that real ones have, with entries images.
func typical(entries int) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shop\n\nresources:\n  - ../base\n  - ingress.yaml\n\nimages:\n")
	for i := range entries {
		fmt.Fprintf(&b, "  - name: web%d\n    newName: registry.acme.io/shop/web%d\n    newTag: 1.2.%d # deployed\n", i, i, i)
	}
	b.WriteString("\npatches:\n  - path: replicas.yaml\n")
	return []byte(b.String())
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{3, 300} {
		src := typical(n)
		b.Run(fmt.Sprint(n, "entries"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := Read("k", src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{3, 300} {
		src := typical(n)
		b.Run(fmt.Sprint(n, "entries"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, _, err := Edit("k", src, []Change{{Name: "web1", Tag: ptr("2.0.0"), Digest: ptr(someDigest)}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRoundTrip is what kustomize edit set image does in place of Edit: the file is parsed, changed and written anew as a whole.
func BenchmarkRoundTrip(b *testing.B) {
	for _, n := range []int{3, 300} {
		src := typical(n)
		b.Run(fmt.Sprint(n, "entries"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				file, err := yaml.Parse(string(src))
				if err != nil {
					b.Fatal(err)
				}
				entry, err := file.Pipe(yaml.Lookup("images", "[name=web1]"))
				if err != nil || entry == nil {
					b.Fatal(entry, err)
				}
				for field, value := range map[string]string{"newTag": "2.0.0", "digest": someDigest} {
					if err := entry.PipeE(yaml.SetField(field, yaml.NewStringRNode(value))); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := file.String(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
