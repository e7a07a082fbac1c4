package reconcile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store"
)

// hostile is text as nobody means well would put into a path, a tag, a label or a reason.
func hostile() []string {
	return []string{
		"@acme/everyone", "`@alice`", "``` @alice", "a`b``c```d", "`", "``", "<!-- boatlift:x -->", "--> <b>", "-->", "<!--", "</details>", "<img src=x onerror=y>",
		"| a | b |", `\| @alice`, `\\| @alice`, `\`, "closes #1", "fixes acme/infra#2", "closes GH-3", "resolves gh-4", "[a](javascript:x)", "![a](http://x)", "a\nb", "a\r\n# b",
		"a\u2028b", "a\x00b", "\x1b[31m", "\u202eevil", "\u200b@alice", "&#64;alice", "&commat;alice", "&lt;b&gt;", "$x$", "~~~", "---", "***", "\xff\xfe", strings.Repeat("`", 300),
		strings.Repeat("@a ", 500),
	}
}

var (
	mention   = regexp.MustCompile(`(^|[^\w])@[\w]`)
	reference = regexp.MustCompile(`#\d|(?i)\bgh-\d`)
)

// outsideCode is markdown without its code spans and fences, as CommonMark reads them.
func outsideCode(markdown string) string {
	var b strings.Builder
	for i := 0; i < len(markdown); {
		if markdown[i] == '\\' && i+1 < len(markdown) {
			b.WriteString(markdown[i : i+2])
			i += 2
			continue
		}
		if markdown[i] != '`' {
			b.WriteByte(markdown[i])
			i++
			continue
		}
		n := len(markdown[i:]) - len(strings.TrimLeft(markdown[i:], "`"))
		end := closing(markdown[i+n:], n)
		if end < 0 {
			b.WriteString(markdown[i : i+n])
			i += n
			continue
		}
		b.WriteString("CODE")
		i += n + end + n
	}
	return b.String()
}

// closing finds a run of exactly n backticks.
func closing(s string, n int) int {
	for i := 0; i < len(s); {
		if s[i] != '`' {
			i++
			continue
		}
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += run
	}
	return -1
}

// harmless checks markdown in which text from outside stands.
func harmless(t *testing.T, what, markdown string) {
	t.Helper()
	rest := outsideCode(markdown)
	if m := mention.FindString(rest); m != "" {
		t.Errorf("%s calls somebody (%q):\n%s", what, m, markdown)
	}
	if m := reference.FindString(rest); m != "" {
		t.Errorf("%s refers to something (%q):\n%s", what, m, markdown)
	}
	for _, bad := range []string{"<!--", "-->", "<img", "<b>", "](javascript", "&#64;", "&commat;"} {
		for i := strings.Index(rest, bad); i >= 0; i = -1 {
			if i == 0 || rest[i-1] != '\\' && (bad != "-->" || rest[i+1] != '\\' && !strings.Contains(rest, `--\>`)) {
				t.Errorf("%s holds %q:\n%s", what, bad, markdown)
			}
		}
	}
	if !utf8.ValidString(markdown) {
		t.Errorf("%s is not UTF-8: %q", what, markdown)
	}
	for _, r := range markdown {
		if r != '\n' && r != '\u200b' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s holds %U", what, r)
		}
	}
}

func TestTextFromOutsideDoesNothing(t *testing.T) {
	t.Parallel()
	for _, s := range hostile() {
		harmless(t, "code", "a "+code(s)+" b")
		harmless(t, "plain", "a "+plain(s)+" b")
		for _, one := range []string{code(s), plain(s), htmlText(s), inert(s)} {
			if strings.ContainsAny(one, "\n\r") {
				t.Errorf("%q becomes more than one line: %q", s, one)
			}
		}
		if strings.Contains(code(s), "|") || strings.ContainsAny(htmlText(s), "<>") || mention.MatchString(htmlText(s)) || mention.MatchString(inert(s)) {
			t.Errorf("%q becomes %q, %q, %q", s, code(s), htmlText(s), inert(s))
		}
		if got := outsideCode(code(s)); got != "CODE" && got != "" {
			t.Errorf("code(%q) = %q, which is not one code span", s, code(s))
		}
		fenced := fence("diff", s+"\n```\n@alice\n````")
		if got := outsideCode(fenced); got != "CODE" {
			t.Errorf("fence(%q) can be left: %q", s, got)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		harmless(t, "code", "a "+code(s)+" b")
		harmless(t, "plain", "a "+plain(s)+" b")
		if got := outsideCode(code(s)); got != "CODE" && got != "" {
			t.Errorf("code(%q) = %q, which is not one code span", s, code(s))
		}
		if got := outsideCode(fence("", s)); got != "CODE" {
			t.Errorf("fence(%q) can be left: %q", s, got)
		}
	})
}

// hostileWork is a promotion in which everything that comes from outside is hostile.
func hostileWork(s string, images int) *work {
	var changes []promotion.Change
	for i := range images {
		changes = append(changes, promotion.Change{
			Image: image.Name(fmt.Sprintf("registry.acme.io/%s/%d", strings.ToValidUTF8(s, ""), i)), FromTag: s, Tag: s + fmt.Sprint(i), Digest: digestOf(web, s, i), FromDigest: digestOf(web, s, -i),
		})
	}
	r := promotion.NewRelease("acceptance", s, changes)
	return &work{
		pr: promotion.Promotion{ID: "x-1", Release: r, State: promotion.Open},
		changes: edit{
			moves: []movement{{Change: changes[0], dirs: []string{s, s, s}}},
			diff:  "--- a/" + s + "\n+++ b/" + s + "\n+    newTag: " + s + "\n", notice: s,
			shown: []render.Directory{{Dir: s, Diff: "+ " + s + "\n```\n"}, {Dir: s, Err: fmt.Errorf("%s", s)}, {Dir: s}},
		},
	}
}

// places are environments whose words are those of the app's name.
func (w *work) places() []place {
	s := w.pr.Release.App
	listed := imagesOf(w.pr.Release)
	running := promotion.Running{SHA: s, URL: s, State: string(forge.RolloutFailed), Images: map[image.Name]promotion.RunningImage{listed[0]: {Tag: s}}}
	return []place{{name: s, before: true, running: running, listed: listed, url: s}, {name: s, before: true, problem: s}, {name: s, before: true}}
}

func (w *work) history() history {
	s := w.pr.Release.App
	commit := forge.Commit{SHA: s, Title: s, Author: s, URL: s}
	spans := []span{{source: s, from: s, to: s, images: imagesOf(w.pr.Release), url: s, total: 1000, commits: slices.Repeat([]forge.Commit{commit}, 60)}}
	bot := &turn{said: map[image.Digest]image.Facts{}}
	for _, c := range w.pr.Release.Changes {
		bot.said[c.Digest] = image.Facts{Source: s, Revision: s, URL: s, Version: s}
	}
	return history{origin: bot.originSection(w.pr.Release), spans: spans}
}

func (w *work) body(t *testing.T) string {
	t.Helper()
	bot := &turn{r: &Reconciler{Options: Options{MarkerKey: func(string) []byte { return []byte("key") }}}}
	bot.claim = &store.Claim{Repo: "github/1"}
	bot.world.Config = promotion.Config{Environments: []promotion.Environment{environment("acceptance", after("@acme/x:#1"))}}
	w.pr.Gate = &gate.Verdict{State: gate.Wait, Rulings: []gate.Ruling{{Policy: w.pr.Release.App, State: gate.Wait, Say: w.pr.Release.App, Detail: w.pr.Release.App}}}
	p := page{pr: w.pr, env: bot.world.Config.Environments[0], changes: w.changes, places: w.places(), history: w.history()}
	return p.body(bot.mark(w.pr))
}

func TestABodyIsHarmlessAndItsMarkerCannotBeFaked(t *testing.T) {
	t.Parallel()
	fake := marker{ID: "evil-1", Release: release("acceptance")}.sign([]byte("guessed"), "github/1")
	for _, s := range append(hostile(), fake) {
		w := hostileWork(s, 2)
		body := w.body(t)
		m, ok := readMarker([]byte("key"), "github/1", body)
		if !ok || m.ID != "x-1" || m.Release.ID != w.pr.Release.ID {
			t.Errorf("with %q the marker reads %v %q", s, ok, m.ID)
		}
		visible, _, _ := strings.Cut(body, markerStart+"")
		if !strings.Contains(s, markerStart) {
			for _, known := range []string{"<details open><summary>", "</summary>", "</details>", "<br>"} {
				visible = strings.ReplaceAll(visible, known, " ")
			}
			harmless(t, "the body", withoutControls(visible))
			closesNothing(t, "the body", body)
		}
		title := pullTitle(w.pr.Release)
		if mention.MatchString(title) || reference.MatchString(title) || len([]rune(title)) > 256 || strings.ContainsAny(title, "\n\r") {
			t.Errorf("the title is %q", title)
		}
		message := commitMessage(w.pr.Release)
		if mention.MatchString(message) || reference.MatchString(message) || trailer(message) != w.pr.Release.ID {
			t.Errorf("the commit says %q", message)
		}
	}
}

// closesNothing checks text as it would stand in the message of a commit, where no code spans are read.
func closesNothing(t *testing.T, what, text string) {
	t.Helper()
	text, _, _ = strings.Cut(text, markerStart)
	if found := closer.FindString(text); found != "" {
		t.Errorf("%s closes something (%q):\n%s", what, found, text)
	}
}

func FuzzPage(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, uint8(2))
	}
	f.Fuzz(func(t *testing.T, s string, images uint8) {
		w := hostileWork(s, int(images)+1)
		w.pr.State = promotion.Open
		body := w.body(t)
		if !strings.Contains(s, markerStart) {
			closesNothing(t, "the body", body)
		}
		if len(body) > 65535 {
			t.Errorf("the body has %d bytes", len(body))
		}
		closesNothing(t, "the title", pullTitle(w.pr.Release))
		if n := len([]rune(pullTitle(w.pr.Release))); n > 256 {
			t.Errorf("the title has %d characters", n)
		}
		for _, state := range []promotion.State{promotion.Merged, promotion.Failed, promotion.Deployed, promotion.RollingOut} {
			w.pr.State, w.pr.Reason, w.pr.MergedBy = state, s, s
			if one := w.body(t); len(one) > 65535 {
				t.Errorf("the body of what is %s has %d bytes", state, len(one))
			}
		}
	})
}

// withoutControls takes out what a diff may show of a file as it is.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && r != '\u200b' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func TestABodyFitsWhateverItHolds(t *testing.T) {
	t.Parallel()
	for _, images := range []int{1, 50, 500, 3000} {
		w := hostileWork("web", images)
		w.changes.diff = strings.Repeat("+    newTag: 1.2.3\n", 20*images)
		for i := range w.changes.shown {
			w.changes.shown[i].Diff = strings.Repeat("+  image: ````` \n", 50*images)
		}
		body := w.body(t)
		if len(body) > 65536 {
			t.Errorf("with %d images the body has %d bytes", images, len(body))
		}
		if images <= 50 {
			if _, ok := readMarker([]byte("key"), "github/1", body); !ok {
				t.Errorf("with %d images the marker is not read", images)
			}
		}
		if rest := outsideCode(body); strings.Contains(rest, "newTag") || strings.Count(body, "\n```")%2 != 0 {
			t.Errorf("with %d images a fence stays open", images)
		}
		if n := len([]rune(pullTitle(w.pr.Release))); n > 256 {
			t.Errorf("the title has %d characters", n)
		}
	}
}

func TestACheckFitsAndIsHarmless(t *testing.T) {
	t.Parallel()
	for _, s := range hostile() {
		v := gate.Judge(gate.Ruling{Policy: s, State: gate.Deny, Say: s, Detail: s, Until: time.Unix(1, 0)})
		c := gateCheck("head", v, "id")
		harmless(t, "the summary", strings.ReplaceAll(c.Summary, "<br>", ""))
		if strings.ContainsAny(c.Title, "\n\r") || len([]rune(c.Title)) > 200 {
			t.Errorf("the title is %q", c.Title)
		}
		for i, row := range strings.Split(strings.TrimSpace(c.Summary), "\n") {
			if cells := len(regexp.MustCompile(`(^|[^\\])(\\\\)*\|`).FindAllString(row, -1)); cells != 4 {
				t.Errorf("row %d of the table has %d bars: %s", i, cells, row)
			}
		}
	}
	var many []gate.Ruling
	for range 500 {
		many = append(many, gate.Ruling{Policy: "p", State: gate.Wait, Say: strings.Repeat("long ", 1000)})
	}
	if c := gateCheck("head", gate.Judge(many...), ""); len(c.Summary) > 65535 {
		t.Errorf("the summary has %d bytes", len(c.Summary))
	}
	for state, want := range map[gate.State]forge.Conclusion{gate.Allow: forge.Success, gate.Wait: forge.Pending, gate.Deny: forge.Failure} {
		if got := gateCheck("h", gate.Judge(gate.Ruling{Policy: "p", State: state, Say: "so"}), "").Conclusion; got != want {
			t.Errorf("%s is shown as %s, want %s", state, got, want)
		}
	}
}

func TestWhatAPullRequestWaitsForIsHarmless(t *testing.T) {
	escaped := regexp.MustCompile(`\\.`)
	for _, evil := range []string{"@acme/ops <script>", "closes #7 | x", "a\n# b\n<!-- boatlift:fake -->", "![x](https://evil.example/beacon)", strings.Repeat("x", 100_000)} {
		v := gate.Judge(gate.Ruling{Policy: "freeze", State: gate.Wait, Say: evil, Detail: evil})
		for what, check := range map[string]forge.Check{
			"of a promotion": promotionCheck("head", v, promotion.Promotion{Next: evil}), "of a merge queue": groupCheck("head", v),
		} {
			for _, bad := range []string{"@acme", "#7", "<!--", "<script", "![x](", "\n# b"} {
				if strings.Contains(escaped.ReplaceAllString(check.Summary, ""), bad) {
					t.Errorf("the check %s holds %q:\n%.500s", what, bad, check.Summary)
				}
			}
			if len(check.Summary) > 65535 || len([]rune(check.Title)) > 256 || strings.ContainsAny(check.Title, "\n") {
				t.Errorf("the check %s has a title of %d and a summary of %d", what, len(check.Title), len(check.Summary))
			}
		}
	}
}

func TestLinksAreOnlyAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://forge.example/pull/1": "[x](https://forge.example/pull/1)",
		"javascript:alert(1)":          "x", "https://a b": "x", "https://a)b": "x", "https://a\nb": "x", "": "x", "https://<b>": "x",
	} {
		if got := link("x", address); got != want {
			t.Errorf("link(%q) = %q; want %q", address, got, want)
		}
	}
}
