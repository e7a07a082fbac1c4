package config

import "fmt"

// leastToken is how long a token must be at least: 20 random letters and digits cannot be guessed.
const leastToken = 20

// tokens checks who may ask the bot over the network.
func (b *botCheck) tokens(entries []tokenEntry) []Token {
	names, values := map[string]int{}, map[string]int{}
	var tokens []Token
	for _, e := range entries {
		t := Token{Name: e.Name.value, Role: e.Role.value, Token: b.secret(e.Token, "token")}
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
