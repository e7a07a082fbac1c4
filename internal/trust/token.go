package trust

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Issuer is who signs tokens, and for whom they have to be.
type Issuer struct {
	URL      string        // as the claim iss has it
	Audience string        // as the claim aud has it, or one of its values
	Keys     string        // the address of its keys, a JSON Web Key Set; the shelf must be allowed to ask it
	Skew     time.Duration // how much longer than it says a token is taken, as clocks differ
}

// TokenError reports a token that proves nothing.
type TokenError struct {
	Reason  string // for operators; what it repeats of the token its issuer has signed
	Signed  bool   // the issuer did sign it: the reason may also be told to whoever sent it
	Expired bool
}

func (e *TokenError) Error() string { return e.Reason }

// Permanent tells that the same token will never be taken.
func (e *TokenError) Permanent() bool { return true }

// Token is a token that was verified.
type Token struct{ proved *oidc.IDToken }

// Claims reads the token's claims into a structure.
func (t Token) Claims(into any) error { return t.proved.Claims(into) }

// maxToken is far above the tokens of those who are known, which have about a kilobyte.
const maxToken = 16 << 10

// LooksLikeToken tells whether a text has the form of a token (JWT).
func LooksLikeToken(text string) bool {
	return len(text) <= maxToken && strings.Count(text, ".") == 2 && !strings.HasPrefix(text, "{")
}

// Verify checks that a token was signed by the issuer with one of its keys, for the audience, and is valid now. The error is a *TokenError
// or, where the keys cannot be had just now, an *UnreachedError.
func (s *Shelf) Verify(ctx context.Context, by Issuer, token string) (Token, error) {
	if !LooksLikeToken(token) {
		return Token{}, &TokenError{Reason: "it is no token (JWT)"}
	}
	keys := &keySet{shelf: s, address: by.Keys}
	verifier := oidc.NewVerifier(by.URL, keys, &oidc.Config{
		ClientID: by.Audience, SupportedSigningAlgs: []string{oidc.RS256}, Now: func() time.Time { return s.now().Add(-by.Skew) },
	})
	proved, err := verifier.Verify(ctx, token)
	var unreached *UnreachedError
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(keys.err, &unreached):
		return Token{}, unreached
	case keys.err != nil:
		return Token{}, &UnreachedError{Host: hostOf(by.Keys), Reason: "it was not waited for"}
	case errors.As(err, &expired):
		return Token{}, &TokenError{Reason: "its token has expired", Signed: keys.verified, Expired: true}
	case err != nil:
		return Token{}, &TokenError{Reason: by.explain(token, keys.verified), Signed: keys.verified}
	}
	return Token{proved}, nil
}

func hostOf(address string) string {
	if at, err := url.Parse(address); err == nil {
		return at.Host
	}
	return address
}

// explain says why a token is not taken, from its claims, which only then are believed enough to be repeated when the issuer has signed
// them.
func (i Issuer) explain(token string, signed bool) string {
	if !signed {
		return "its token is not signed by " + i.URL
	}
	claims, ok := peek(token)
	if !ok {
		return "its token's claims are not understood"
	}
	if !slices.Contains(claims.Audience, i.Audience) {
		return "its token is for another audience, " + quoted(strings.Join(claims.Audience, " "))
	}
	return "its token is not valid now, or of another issuer, " + quoted(claims.Issuer)
}

// peeked are claims that nobody has verified.
type peeked struct {
	Issuer   string
	Audience []string
}

// peek reads claims without believing them.
func peek(token string) (peeked, bool) {
	_, rest, _ := strings.Cut(token, ".")
	rest, _, _ = strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil {
		return peeked{}, false
	}
	var claims struct {
		Issuer   string          `json:"iss"`
		Audience json.RawMessage `json:"aud"`
	}
	if json.Unmarshal(text, &claims) != nil {
		return peeked{}, false
	}
	seen := peeked{Issuer: claims.Issuer}
	var one string
	if json.Unmarshal(claims.Audience, &one) == nil {
		seen.Audience = []string{one}
	} else if json.Unmarshal(claims.Audience, &seen.Audience) != nil {
		return peeked{}, false
	}
	return seen, true
}

// quoted is text from outside for a log: on one line, in ASCII, not long.
func quoted(s string) string {
	const most = 160
	if s = fmt.Sprintf("%+q", s); len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// keySet is the issuer's keys, for one token. It implements oidc.KeySet.
type keySet struct {
	shelf    *Shelf
	address  string
	err      error // why there are no keys
	verified bool
}

// VerifySignature checks the signature with the key that the token names. The algorithm has been checked before.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	var head struct {
		Key string `json:"kid"`
	}
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(text, &head) != nil {
		return nil, errors.New("the token's head is not understood")
	}
	found, err := k.shelf.Get(ctx, k.address, parseKeys, func(keys any) bool {
		return keys.(map[string]crypto.PublicKey)[head.Key] != nil
	})
	if err != nil {
		k.err = err
		return nil, err
	}
	key := found.(map[string]crypto.PublicKey)[head.Key]
	if key == nil {
		return nil, errors.New("the issuer has no such key")
	}
	payload, err := (&oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}).VerifySignature(ctx, token)
	k.verified = err == nil
	return payload, err
}

// parseKeys reads a JSON Web Key Set; of it the RSA keys, by their ids.
func parseKeys(body []byte) (any, error) {
	var set struct {
		Keys []struct {
			Kind string `json:"kty"`
			ID   string `json:"kid"`
			N    string `json:"n"`
			E    string `json:"e"`
		} `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil {
		return nil, errors.New("its answer is no set of keys")
	}
	keys := map[string]crypto.PublicKey{}
	for _, one := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(one.N)
		e, errE := base64.RawURLEncoding.DecodeString(one.E)
		const least, most = 2048, 8192
		if one.Kind != "RSA" || one.ID == "" || errN != nil || errE != nil || len(e) == 0 || len(e) > 4 || len(n)*8 < least || len(n)*8 > most {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if key.N.BitLen() >= least && key.E >= 3 && key.E%2 == 1 {
			keys[one.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("its answer has no usable key")
	}
	return keys, nil
}
