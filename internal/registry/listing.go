package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boatlift/boatlift/internal/image"
)

// pageSize is how many tags are asked for at once. Registries may give fewer; none of those that are known gives more.
const pageSize = 1000

// maxTags bounds a listing. A repository that has more is better followed by its notifications.
const maxTags = 100_000

// maxBarren is how many pages may bring nothing new before a listing is taken for one that goes round in circles.
const maxBarren = 10

// TooManyTagsError reports a repository with more tags than are read.
type TooManyTagsError struct{ Name image.Name }

func (e *TooManyTagsError) Error() string {
	return fmt.Sprintf("%s has more than %d tags, or its listing has no end", e.Name, maxTags)
}

// Hint says what to do.
func (e *TooManyTagsError) Hint() string {
	return "delete old tags"
}

// Permanent tells that asking again does not help until tags are deleted.
func (e *TooManyTagsError) Permanent() bool { return true }

// Listing is which tags an image has.
type Listing struct {
	// Tags are in the order in which the registry gives them, each once. Signatures and attestations, which registries keep under
	// tags too, are left out.
	Tags []string
	// Mark is what to give to the next question, so that a registry which can tell that nothing has changed says only that. It is
	// empty where the registry cannot, or where it gave the tags in several pages, each of which has a mark of its own.
	Mark string
	// Unchanged tells that the tags are those that came with the mark; they are not repeated.
	Unchanged bool
}

// Tags lists the tags of an image, page by page. The mark is that of an earlier listing of the same image, or empty. The errors
// are those of Resolve, and *TooManyTagsError.
func (c *Client) Tags(ctx context.Context, of image.Name, mark string) (Listing, error) {
	list := Listing{}
	seen := map[string]bool{}
	at, barren := "", 0
	for pages := 1; ; pages++ {
		var page tagPage
		err := c.ask(ctx, of, "", func(ctx context.Context, pull *puller, repository name.Repository) (err error) {
			page, err = c.page(ctx, pull, repository, at, mark)
			return err
		})
		if err != nil {
			return Listing{}, err
		}
		if page.unchanged {
			return Listing{Mark: mark, Unchanged: true}, nil
		}
		before := len(seen)
		for _, tag := range page.tags {
			if seen[tag] {
				continue
			}
			seen[tag] = true
			if image.CheckTag(tag) == nil && !attached(tag) {
				list.Tags = append(list.Tags, tag)
			}
		}
		list.Mark, mark = page.mark, ""
		if len(seen) == before {
			barren++
		}
		switch {
		case page.next != "":
			at = page.next
		case len(page.tags) >= pageSize && len(seen) > before:
			// A full page without a link: there may be more, or the registry gives everything at once whatever it was asked for.
			at = "?n=" + strconv.Itoa(pageSize) + "&last=" + url.QueryEscape(page.tags[len(page.tags)-1])
		default:
			if pages > 1 {
				list.Mark = ""
			}
			return list, nil
		}
		if len(seen) > maxTags || barren > maxBarren {
			return Listing{}, &TooManyTagsError{of}
		}
	}
}

// tagPage is one answer to the question for tags.
type tagPage struct {
	tags      []string
	mark      string
	unchanged bool
	next      string // the address of the next page; empty: there is no link to one
}

// page asks for one page: the one at an address that the registry gave or, where that is only a query, at its usual place.
func (c *Client) page(ctx context.Context, pull *puller, repository name.Repository, at, mark string) (tagPage, error) {
	login, err := pull.logins.of(ctx, repository, c)
	if err != nil {
		return tagPage{}, err
	}
	if at == "" {
		at = "?n=" + strconv.Itoa(pageSize)
	}
	if strings.HasPrefix(at, "?") {
		at = (&url.URL{Scheme: repository.Scheme(), Host: repository.RegistryStr(), Path: "/v2/" + repository.RepositoryStr() + "/tags/list", RawQuery: at[1:]}).String()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return tagPage{}, err
	}
	request.Header.Set("Accept", "application/json")
	if mark != "" {
		request.Header.Set("If-None-Match", mark)
	}
	answer, err := (&http.Client{Transport: login, CheckRedirect: sameHost}).Do(request)
	if err != nil {
		return tagPage{}, err
	}
	defer answer.Body.Close()
	if mark != "" && answer.StatusCode == http.StatusNotModified {
		return tagPage{unchanged: true}, nil
	}
	if err := transport.CheckError(answer, http.StatusOK); err != nil {
		return tagPage{}, err
	}
	var said struct {
		Tags []string `json:"tags"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return tagPage{}, fmt.Errorf("read a list of tags: %w", err)
	}
	next, err := nextPage(answer)
	if err != nil {
		return tagPage{}, err
	}
	return tagPage{tags: said.Tags, mark: etag(answer.Header), next: next}, nil
}

// errElsewhere reports a list of tags that goes on somewhere else.
var errElsewhere = errors.New("the list of tags goes on at another host, which is not asked")

func sameHost(request *http.Request, via []*http.Request) error {
	if first := via[0].URL; request.URL.Host != first.Host || request.URL.Scheme != first.Scheme || len(via) > 5 {
		return errElsewhere
	}
	return nil
}

// nextPage reads the header Link of RFC 8288, of which registries use rel="next" alone. It is followed to the same host only: an
// answer must not make the bot ask anybody else, least of all with its credentials.
func nextPage(answer *http.Response) (string, error) {
	for _, link := range answer.Header.Values("Link") {
		address, parameters, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !ok || address == "" || strings.Contains(parameters, "rel=") && !strings.Contains(parameters, "next") {
			continue
		}
		at, err := answer.Request.URL.Parse(address)
		if err != nil {
			return "", errors.New("the link to the next page of tags is no address")
		}
		if at.Host != answer.Request.URL.Host || at.Scheme != answer.Request.URL.Scheme || at.User != nil {
			return "", errElsewhere
		}
		return at.String(), nil
	}
	return "", nil
}

// etag is a mark that can be sent back; anything that is none, or is longer than any sensible one, is left out.
func etag(header http.Header) string {
	mark := header.Get("ETag")
	if len(mark) > 256 || strings.ContainsFunc(mark, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return mark
}

// logins are what was negotiated for listing tags, by repository: a token is given for one repository only. The zero value is ready.
type logins struct {
	mu sync.Mutex
	by map[string]http.RoundTripper
}

// maxLogins is more than a bot's environments list.
const maxLogins = 4096

func (l *logins) of(ctx context.Context, repository name.Repository, c *Client) (http.RoundTripper, error) {
	key := repository.Name()
	l.mu.Lock()
	login := l.by[key]
	l.mu.Unlock()
	if login != nil {
		return login, nil
	}
	credential, err := c.keychain.Resolve(repository)
	if err != nil {
		return nil, err
	}
	login, err = transport.NewWithContext(ctx, repository.Registry, credential, transport.NewUserAgent(c.transport, c.agent), []string{repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil || len(l.by) >= maxLogins {
		l.by = map[string]http.RoundTripper{}
	}
	l.by[key] = login
	return login, nil
}
