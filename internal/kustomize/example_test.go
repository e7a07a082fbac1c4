package kustomize_test

import (
	"errors"
	"fmt"

	"github.com/boatlift/boatlift/internal/kustomize"
)

const kustomization = `images:
  # deployed by the bot
  - name: web
    newName: registry.acme.io/shop/web
    newTag: "1.10"   # keep quoted
  - name: api
    newTag: |-
      v1
`

func ExampleEdit() {
	tag := "1.11"
	out, report, err := kustomize.Edit("k/kustomization.yaml", []byte(kustomization), []kustomize.Change{{Name: "web", Tag: &tag}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range report.Lines {
		fmt.Printf("line %d: %s\n", line.Before, line.New)
	}
	fmt.Print(kustomize.Diff("k/kustomization.yaml", []byte(kustomization), out))
	// Output:
	// line 5:     newTag: "1.11"   # keep quoted
	// --- a/k/kustomization.yaml
	// +++ b/k/kustomization.yaml
	// @@ -2,7 +2,7 @@
	//    # deployed by the bot
	//    - name: web
	//      newName: registry.acme.io/shop/web
	// -    newTag: "1.10"   # keep quoted
	// +    newTag: "1.11"   # keep quoted
	//    - name: api
	//      newTag: |-
	//        v1
}

func ExampleEdit_refused() {
	tag := "v2"
	_, _, err := kustomize.Edit("k/kustomization.yaml", []byte(kustomization), []kustomize.Change{{Name: "api", Tag: &tag}})
	var refused *kustomize.RefusedError
	if errors.As(err, &refused) {
		fmt.Println(refused)
		fmt.Println(refused.Hint())
	}
	// Output:
	// k/kustomization.yaml:7: the newTag of api is a block scalar
	// write it as a plain or quoted value on one line
}

func ExampleSetImage() {
	src := "images:\n- digest: sha256:0000000000000000000000000000000000000000000000000000000000000000\n  name: web\n"
	out, _, err := kustomize.SetImage("kustomization.yaml", []byte(src), []string{"web=:1.20", "db=host:5000/db:v3"})
	fmt.Print(string(out), err)
	// Output:
	// images:
	// - newTag: "1.20"
	//   name: web
	// - name: db
	//   newName: host:5000/db
	//   newTag: v3
	// <nil>
}
