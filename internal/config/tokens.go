package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// leastToken is how long a token must be at least: 20 random letters and digits cannot be guessed.
const leastToken = 20

// The roles that may only tell of pushes, and only of what tests found.
const (
	rolePush    = "push"
	roleCertify = "certify"
)

const certifyRight = "write certify: [{names: [playwright], environments: [\"acme/infra-acceptance:acceptance\"]}]"

var placePattern = regexp.MustCompile(`^([A-Za-z0-9._*-]+/)+[A-Za-z0-9._*-]+:[A-Za-z0-9._*-]+$`)

// certify checks what may be certified.
func (b *botCheck) certify(entries []certifyEntry) []promotion.Certify {
	const mostStars = 3 // of one pattern
	var lists []promotion.Certify
	for _, e := range entries {
		var c promotion.Certify
		for _, t := range e.Names {
			switch {
			case !t.set:
			case len(t.value) > maxCheck || !printable(t.value) || strings.TrimSpace(t.value) != t.value || strings.Count(t.value, "*") > mostStars:
				b.add(t, "this is no name of a test", "write it as verify: in .boatlift.yaml has it, or with a * for any characters")
			default:
				c.Names = append(c.Names, t.value)
			}
		}
		for _, t := range e.Environments {
			switch {
			case !t.set:
			case len(t.value) > maxCheck || !placePattern.MatchString(t.value) || strings.Count(t.value, "*") > mostStars:
				b.add(t, "this is no environment", "write owner/name:environment, as acme/infra-acceptance:acceptance or acme/*:acceptance")
			default:
				c.Environments = append(c.Environments, t.value)
			}
		}
		if e.given["names"] && len(e.Names) == 0 || e.given["environments"] && len(e.Environments) == 0 {
			b.add(e, "an empty list certifies nothing", certifyRight)
		}
		lists = append(lists, c)
	}
	return lists
}

// images checks patterns of images.
func (b *botCheck) images(list []text) []image.Pattern {
	var patterns []image.Pattern
	for _, t := range list {
		if !t.set {
			continue
		}
		pattern, err := image.ParsePattern(t.value)
		if err != nil {
			b.add(t, "this is no pattern of images", "write an image's name without its tag, such as registry.acme.io/shop/web or registry.acme.io/shop/*; ** selects every image")
			continue
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

// tokens checks who may ask the bot over the network.
func (b *botCheck) tokens(entries []tokenEntry) []Token {
	names, values := map[string]int{}, map[string]int{}
	var tokens []Token
	for _, e := range entries {
		t := Token{Name: e.Name.value, Role: e.Role.value, Token: b.secret(e.Token, "token"), Push: b.images(e.Images), Certify: b.certify(e.Certify)}
		switch given := e.given["images"]; {
		case e.Role.value == roleCertify && !e.given["certify"]:
			b.add(e.Role, "the role certify lacks what may be certified", certifyRight)
		case e.Role.value == rolePush && !given:
			b.add(e.Role, "the role push lacks the images of which it may tell", "write images: [registry.acme.io/shop/*], or images: [\"**\"] for all")
		case given && e.Role.set && e.Role.value != rolePush:
			b.add(e.Role, "images belong to the role push, and this is another one", "leave images out: who may operate may tell of any image; or write role: push")
		}
		if line, twice := names[t.Name]; twice && e.Name.set {
			b.add(e.Name, fmt.Sprintf("the name is taken, in line %d", line), "give each token its own name: the audit tells who did something by it")
		}
		if e.Name.set && (len(t.Name) > maxName || !entryPattern.MatchString(t.Name)) {
			b.add(e.Name, "the name is none", "write at most 63 small letters, digits, and - between them")
		}
		names[t.Name] = e.Name.line
		if value := string(t.Token.Reveal()); !t.Token.IsZero() {
			if len(value) < leastToken {
				b.add(e.Token, "the token is too short: it could be guessed", "make one with: head -c 32 /dev/urandom | base64")
			} else if line, twice := values[value]; twice {
				b.add(e.Token, fmt.Sprintf("the token is the same as that of line %d", line), "give each its own")
			}
			values[value] = e.Token.line
		}
		tokens = append(tokens, t)
	}
	return tokens
}
