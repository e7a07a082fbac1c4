package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// play is what a script does on a stage. ENV below is acceptance or production.
type play struct {
	env   *testscript.Env
	stage *stage.Stage
	dir   string
	tier  hub.Tier            // of the GitLab that the forge is; empty: a GitHub
	teams map[string][]string // their members
	wrote []string            // people who reviewed anything
}

type playKey struct{}

// patience is how long a script waits for anything.
const patience = 2 * time.Minute

type command func(p *play, ctx context.Context, ts *testscript.TestScript, args []string) error

// commands are those that scripts have beside testscript's own. Each waits until what it is about has happened.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	for name, do := range map[string]command{
		"stage":     (*play).start,     // stage start [mute] [token] [prefix=PATH] [bot=FILE] [acceptance=FILE] [production=FILE] [file=FILE…]: sets BOATLIFT_DATA, BOT, BOT_URL, HUB, REGISTRY, and FORGE, SIGN, PULLS, RUNS, AUTHOR: how this forge writes things
		"push":      (*play).push,      // push [platforms=OS/ARCH,…] TAG [REPOSITORY…]: push images, by default all
		"digest":    (*play).digest,    // digest REPOSITORY TAG: what the registry has there, as $DIGEST
		"polled":    (*play).polled,    // polled EVERY [and heard]: the bot asks the registry, and hears webhooks no more unless it is said
		"registry":  (*play).registry,  // registry down|up: it answers 503, and as before
		"retag":     (*play).retag,     // retag REPOSITORY FROM TO
		"pull":      (*play).pull,      // pull ENV TAG: the open pull request on stdout, its number as $PULL and its head as $HEAD
		"pulls":     (*play).pulls,     // pulls ENV TAG N: so many pull requests were ever opened for the tag
		"opens":     (*play).opens,     // opens ENV N: so many pull requests are open
		"merge":     (*play).merge,     // merge ENV TAG: once the gate is green
		"force":     (*play).force,     // force ENV TAG: try to merge whatever the gate says
		"review":    (*play).review,    // review ENV TAG PERSON approve|request_changes|dismiss
		"person":    (*play).person,    // person ENV NAME…: people who may write
		"team":      (*play).team,      // team NAME PERSON…: of acme
		"queue":     (*play).queue,     // queue ENV: what is merged goes through a merge queue from now on
		"asked":     (*play).asked,     // asked ENV TAG WHO…: exactly these are asked for a review, sorted; at a GitLab members of teams, who have not reviewed yet, and without Premium one
		"close":     (*play).close,     // close ENV TAG
		"reopen":    (*play).reopen,    // reopen ENV TAG
		"gate":      (*play).gate,      // gate ENV TAG CONCLUSION [PATTERN…]: wait until it shows all of this; what it shows is on stdout
		"check":     (*play).check,     // check ENV NAME CONCLUSION: of the default branch's head; what it shows is on stdout
		"comment":   (*play).comment,   // comment ENV TAG PATTERN: the comments of the pull request are on stdout
		"commit":    (*play).commit,    // commit ENV PATH FILE: as alice, to the default branch; ${REGISTRY} is filled in
		"show":      (*play).show,      // show ENV PATH [COMMIT]: a file of the repository on stdout
		"author":    (*play).author,    // author ENV TAG: who made the head of the newest pull request, on stdout
		"await":     (*play).await,     // await status PATTERN | why ABOUT PATTERN | runs ENV TAG | ended ENV TAG
		"later":     (*play).later,     // until what happens next is later by the clocks of forges, which keep whole seconds
		"quiet":     (*play).quiet,     // until nothing is under way
		"crash":     (*play).crash,     // kill -9
		"restart":   (*play).restart,   // stop the bot if it runs, and start it at the same address
		"forged":    (*play).forged,    // forged BODY: what the forge would send, without a proof and with wrong ones; each is refused
		"http":      (*play).http,      // http METHOD PATH STATUS [body=FILE] [size=BYTES] [HEADER=VALUE…]: the answer is on stdout
		"exits":     (*play).exits,     // exits CODE PROGRAM ARG…
		"json":      (*play).json,      // json FILE [KEY…]: it is JSON, and an object with the keys
		"member":    (*play).member,    // member FILE KEY: a member of a JSON object on stdout
		"mode":      (*play).mode,      // mode FILE OCTAL: the file has the permissions
		"issuer":    (*play).issuer,    // issuer: one that signs tokens for jobs of GitHub Actions; sets ISSUER, and for the job of acme/shop the runner's variables
		"report":    (*play).report,    // report ENV NAME STATE [APP]: of the default branch's head; as alice a status, or as an App a check
		"rollouts":  (*play).rollouts,  // rollouts ENV fail|hang|release: the next one, or all
		"rerun":     (*play).rerun,     // rerun ENV: somebody runs the newest run of a workflow again, which succeeds
		"redeliver": (*play).redeliver, // redeliver EVENT STATUS (of GitHub's names): the forge sends its last webhook of the kind once more
	} {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			p := ts.Value(playKey{}).(*play)
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			err := do(p, ctx, ts, args)
			switch {
			case neg && err == nil:
				ts.Fatalf("%s %s did not fail", name, strings.Join(args, " "))
			case neg:
				fmt.Fprintln(ts.Stderr(), err)
			case err != nil && p.stage != nil:
				ts.Fatalf("%v\n%s", err, botLog(p.dir))
			case err != nil:
				ts.Fatalf("%v", err)
			}
		}
	}
	return all
}

// end ends the stage with the script.
func (p *play) end() {
	if p.stage == nil {
		return
	}
	if err := errors.Join(p.stage.Close(), soundLog(p.dir), os.RemoveAll(p.dir)); err != nil {
		p.env.T().(testing.TB).Errorf("end the stage: %v", err)
	}
}

var errUsage = errors.New("see commands in play_test.go for what the command wants")

// on is the repository of an environment.
func on(env string) string {
	if env == "production" {
		return stage.Production
	}
	return stage.Acceptance
}

func (p *play) start(ctx context.Context, ts *testscript.TestScript, args []string) (err error) {
	if len(args) == 0 || args[0] != "start" {
		return errUsage
	}
	if p.dir, err = os.MkdirTemp("", "bl"); err != nil { // a short name: a socket lies below it
		return err
	}
	path, err := exec.LookPath("boatlift")
	if err != nil {
		return err
	}
	o := stage.Options{Dir: p.dir, BotPath: path, Config: map[string]string{}, GitLab: p.tier, Hub: func(o *hub.Options) { o.HookPause = time.Second }}
	for _, a := range args[1:] {
		what, file, _ := strings.Cut(a, "=")
		switch what {
		case "mute":
			o.Mute = true
			continue
		case "token":
			o.ByToken = true
			continue
		case "prefix":
			o.PathPrefix = file
			continue
		}
		switch text := ts.ReadFile(file); what {
		case "bot":
			o.BotConfig = strings.ReplaceAll(text, "${ISSUER}", ts.Getenv("ISSUER"))
		case "acceptance", "production":
			o.Config[on(what)] = text
		case "file":
			if err := os.WriteFile(filepath.Join(p.dir, filepath.Base(file)), []byte(text), 0o600); err != nil {
				return err
			}
		default:
			return errUsage
		}
	}
	if p.stage, err = stage.Start(ctx, o); err != nil {
		return fmt.Errorf("%w\n%s", err, botLog(p.dir))
	}
	ts.Setenv("BOATLIFT_DATA", p.stage.Bot.DataDir())
	ts.Setenv("BOT", p.stage.Bot.Dir())
	ts.Setenv("BOT_URL", p.stage.Bot.URL())
	ts.Setenv("HUB", p.stage.Hub.URL())
	ts.Setenv("REGISTRY", p.stage.Registry.Host())
	for name, value := range p.words() {
		ts.Setenv(name, value)
	}
	return nil
}

// words are how people at the forge write things: its endpoint, the sign of a pull request, the paths of pull requests and of runs, and
// who makes commits, as a pattern.
func (p *play) words() map[string]string {
	if p.tier == "" {
		return map[string]string{"FORGE": "github", "SIGN": "#", "PULLS": "pull", "RUNS": "actions/runs", "AUTHOR": `boatlift\[bot\] <[0-9]+\+boatlift\[bot\]`}
	}
	return map[string]string{"FORGE": "gitlab", "SIGN": "!", "PULLS": "-/merge_requests", "RUNS": "-/pipelines", "AUTHOR": stage.Machine + " <[0-9]+-" + stage.Machine}
}

func (p *play) push(ctx context.Context, _ *testscript.TestScript, args []string) error {
	var img images.Image
	if len(args) > 0 && strings.HasPrefix(args[0], "platforms=") {
		img.Platforms = strings.Split(strings.TrimPrefix(args[0], "platforms="), ",")
		args = args[1:]
	}
	switch {
	case len(args) == 0:
		return errUsage
	case len(args) == 1:
		args = append(slices.Clone(args), stage.Images()...)
	}
	for _, repo := range args[1:] {
		if _, err := p.stage.Registry.Push(ctx, repo, args[0], img); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) digest(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	digest, ok, err := p.stage.Registry.Digest(ctx, args[0], args[1])
	if err == nil && !ok {
		err = fmt.Errorf("the registry has no %s:%s", args[0], args[1])
	}
	ts.Setenv("DIGEST", digest)
	return err
}

func (p *play) polled(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errUsage
	}
	return p.stage.Poll(ctx, args[0], len(args) == 3)
}

func (p *play) registry(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 1 || args[0] != "down" && args[0] != "up" {
		return errUsage
	}
	p.stage.Registry.SetDown(args[0] == "down")
	return nil
}

func (p *play) retag(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	return p.stage.Registry.Tag(ctx, args[0], args[1], args[2])
}

func (p *play) pull(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	pull, err := p.stage.AwaitPull(ctx, on(args[0]), args[1])
	if err != nil {
		return err
	}
	ts.Setenv("PULL", strconv.Itoa(pull.Number))
	ts.Setenv("HEAD", pull.HeadSHA)
	fmt.Fprintf(ts.Stdout(), "%s\n%s\n\n%s", pull.Title, strings.Join(pull.Labels, " "), pull.Body)
	return nil
}

func (p *play) pulls(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	pulls, err := p.stage.Pulls(on(args[0]), args[1])
	if err == nil && strconv.Itoa(len(pulls)) != args[2] {
		err = fmt.Errorf("%d pull requests were opened for %s in %s: %s", len(pulls), args[1], args[0], titles(pulls))
	}
	return err
}

func (p *play) opens(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	pulls, err := p.stage.Hub.Pulls(on(args[0]))
	pulls = slices.DeleteFunc(pulls, func(p hub.Pull) bool { return p.State != "open" })
	if err == nil && strconv.Itoa(len(pulls)) != args[1] {
		err = fmt.Errorf("%d pull requests are open in %s: %s", len(pulls), args[0], titles(pulls))
	}
	return err
}

func titles(pulls []hub.Pull) string {
	var list []string
	for _, p := range pulls {
		list = append(list, fmt.Sprintf("#%d %s (%s)", p.Number, p.Title, p.State))
	}
	return strings.Join(list, "; ")
}

func (p *play) merge(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	return p.stage.Merge(ctx, on(args[0]), args[1])
}

func (p *play) force(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	pull, err := p.stage.AwaitPull(ctx, on(args[0]), args[1])
	if err != nil {
		return err
	}
	_, err = p.stage.Hub.MergePull(ctx, on(args[0]), pull.Number, "alice", "merge", pull.HeadSHA)
	return err
}

// last is the newest pull request for a tag, open or not.
func (p *play) last(args []string) (hub.Pull, error) {
	if len(args) < 2 {
		return hub.Pull{}, errUsage
	}
	pulls, err := p.stage.Pulls(on(args[0]), args[1])
	if err == nil && len(pulls) == 0 {
		err = fmt.Errorf("%s has no pull request for %s", args[0], args[1])
	}
	if err != nil {
		return hub.Pull{}, err
	}
	return pulls[len(pulls)-1], nil
}

func (p *play) close(ctx context.Context, _ *testscript.TestScript, args []string) error {
	pull, err := p.last(args)
	if err != nil {
		return err
	}
	return p.stage.Hub.ClosePull(ctx, on(args[0]), pull.Number, "alice")
}

func (p *play) reopen(ctx context.Context, _ *testscript.TestScript, args []string) error {
	pull, err := p.last(args)
	if err != nil {
		return err
	}
	return p.stage.Hub.ReopenPull(ctx, on(args[0]), pull.Number, "alice")
}

func (p *play) gate(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) < 3 {
		return errUsage
	}
	var patterns []*regexp.Regexp
	for _, text := range args[3:] {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return err
		}
		patterns = append(patterns, pattern)
	}
	text := ""
	err := stage.Await(ctx, patience, fmt.Sprintf("the gate of %s in %s to show %v", args[1], args[0], args[2:]), func() (bool, error) {
		pull, gate, err := p.stage.AwaitGate(ctx, on(args[0]), args[1], strings.TrimSuffix(args[2], "waits"))
		text = gate.Title + "\n" + cmp.Or(gate.Summary, pull.Body) + "\n" // a status has no room for more than the title
		return !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return !p.MatchString(text) }), err
	})
	if err != nil {
		return fmt.Errorf("%w; it shows:\n%s", err, text)
	}
	_, err = fmt.Fprint(ts.Stdout(), text)
	return err
}

func (p *play) check(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	var check hub.Check
	err := stage.Await(ctx, patience, fmt.Sprintf("check %s of %s to show %s", args[1], args[0], args[2]), func() (bool, error) {
		head, err := p.stage.Hub.Head(on(args[0]), "main")
		if err != nil {
			return false, err
		}
		check, err = p.stage.Check(on(args[0]), head, args[1])
		return check.Conclusion == args[2], err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(ts.Stdout(), "%s\n%s\n", check.Title, check.Summary)
	return nil
}

func (p *play) comment(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	pattern, err := regexp.Compile(args[2])
	if err != nil {
		return err
	}
	pull, err := p.last(args)
	if err != nil {
		return err
	}
	var all strings.Builder
	err = stage.Await(ctx, patience, fmt.Sprintf("a comment like %s on %s", pattern, pull.Title), func() (bool, error) {
		said, err := p.stage.Hub.Comments(on(args[0]), pull.Number)
		all.Reset()
		for _, s := range said {
			all.WriteString(s.Body + "\n")
		}
		return pattern.MatchString(all.String()), err
	})
	if err != nil {
		return fmt.Errorf("%w; there is:\n%s", err, all.String())
	}
	fmt.Fprint(ts.Stdout(), all.String())
	return nil
}

func (p *play) review(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 4 {
		return errUsage
	}
	pull, err := p.last(args)
	if err != nil {
		return err
	}
	p.wrote = append(p.wrote, args[2])
	if args[3] == "dismiss" {
		return p.stage.Hub.Dismiss(on(args[0]), pull.Number, args[2], "alice")
	}
	return p.stage.Hub.Review(on(args[0]), pull.Number, args[2], hub.ReviewKind(args[3]), "said "+args[3])
}

// letWrite lets a person who is not known yet write to the repository.
func (p *play) letWrite(env, login string) error {
	p.stage.Hub.AddPerson(login)
	return p.stage.Hub.SetPermission(on(env), login, hub.Write)
}

func (p *play) person(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	for _, login := range args[1:] {
		if err := p.letWrite(args[0], login); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) team(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	if p.teams == nil {
		p.teams = map[string][]string{}
	}
	p.teams["acme/"+args[0]] = args[1:]
	p.stage.Hub.SetTeam("acme/"+args[0], args[1:]...)
	return nil
}

func (p *play) queue(_ context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return p.stage.Hub.SetProtection(on(args[0]), &hub.Protection{
		Checks: []hub.RequiredCheck{{Context: stage.GateCheck, AppID: p.stage.Hub.AppID()}}, MergeQueue: true,
	})
}

func (p *play) asked(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	pull, err := p.last(args[:2])
	if err != nil {
		return err
	}
	wanted, asked := p.askable(args[2:]), []string(nil)
	enough := func() bool { return slices.Equal(asked, wanted) }
	switch { // a reviewer takes the only place that there is
	case p.tier == hub.Free && len(p.wrote) > 0:
		wanted = nil
	case p.tier == hub.Free && len(wanted) > 1:
		enough = func() bool { return len(asked) == 1 && slices.Contains(wanted, asked[0]) }
	}
	err = stage.Await(ctx, patience, "reviews of "+strings.Join(args, " "), func() (bool, error) {
		asked, err = p.stage.Hub.Requested(on(args[0]), pull.Number)
		return enough(), err
	})
	if err != nil {
		return fmt.Errorf("%w; asked are %v", err, asked)
	}
	return nil
}

// askable are those whom the forge asks for a review in the place of people and teams.
func (p *play) askable(who []string) []string {
	var list []string
	for _, name := range who {
		if members, ok := p.teams[name]; ok && p.tier != "" {
			list = append(list, members...)
		} else {
			list = append(list, name)
		}
	}
	if p.tier != "" { // who has reviewed is a reviewer already
		list = slices.DeleteFunc(list, func(login string) bool { return slices.Contains(p.wrote, login) })
	}
	slices.Sort(list)
	return list
}

func (p *play) commit(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	text := strings.ReplaceAll(ts.ReadFile(args[2]), "${REGISTRY}", p.stage.Registry.Host())
	sha, err := p.stage.Hub.Push(ctx, on(args[0]), hub.Commit{Person: "alice", Files: map[string][]byte{args[1]: []byte(text)}})
	ts.Setenv("COMMIT", sha)
	return err
}

func (p *play) show(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	at := "main"
	if len(args) > 2 {
		at = args[2]
	}
	text, ok, err := p.stage.Hub.File(ctx, on(args[0]), at, args[1])
	if err == nil && !ok {
		err = fmt.Errorf("%s has no %s at %s", args[0], args[1], at)
	}
	if err != nil {
		return err
	}
	_, err = ts.Stdout().Write(text)
	return err
}

func (p *play) author(ctx context.Context, ts *testscript.TestScript, args []string) error {
	pull, err := p.last(args)
	if err != nil {
		return err
	}
	dir, err := p.stage.GitDir(on(args[0]))
	if err != nil {
		return err
	}
	text, err := exec.CommandContext(ctx, "git", "--git-dir", dir, "log", "-1", "--format=%an <%ae>", pull.HeadSHA).Output()
	if err != nil {
		return err
	}
	_, err = ts.Stdout().Write(text)
	return err
}

func (p *play) await(ctx context.Context, ts *testscript.TestScript, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "status":
		return p.awaitCommand(ctx, ts, args[1], "status")
	case len(args) == 3 && args[0] == "why":
		return p.awaitCommand(ctx, ts, args[2], "why", args[1])
	case len(args) == 3 && args[0] == "runs":
		return p.stage.AwaitRuns(ctx, on(args[1]), args[2])
	case len(args) == 3 && args[0] == "ended":
		return stage.Await(ctx, patience, "the pull request for "+args[2]+" to be closed", func() (bool, error) {
			pull, err := p.last(args[1:])
			return pull.State == "closed", err
		})
	}
	return errUsage
}

// awaitCommand waits until a command of the bot prints what matches; that is on stdout then.
func (p *play) awaitCommand(ctx context.Context, ts *testscript.TestScript, pattern string, words ...string) error {
	wanted, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return err
	}
	var text string
	err = stage.Await(ctx, patience, fmt.Sprintf("boatlift %s to say %s", strings.Join(words, " "), pattern), func() (bool, error) {
		text, err = p.stage.Bot.Command(ctx, words...)
		return err == nil && wanted.MatchString(text), nil // the bot may not be up yet
	})
	if err != nil {
		return fmt.Errorf("%w; it says:\n%s", err, text)
	}
	fmt.Fprint(ts.Stdout(), text)
	return nil
}

func (p *play) later(ctx context.Context, _ *testscript.TestScript, _ []string) error {
	now := time.Now().Unix()
	return stage.Await(ctx, patience, "the next second", func() (bool, error) { return time.Now().Unix() > now, nil })
}

func (p *play) quiet(ctx context.Context, _ *testscript.TestScript, _ []string) error {
	return p.stage.Quiet(ctx)
}

func (p *play) crash(context.Context, *testscript.TestScript, []string) error {
	return p.stage.Bot.Kill()
}

func (p *play) restart(ctx context.Context, _ *testscript.TestScript, _ []string) error {
	if err := p.stage.Bot.Stop(); err != nil {
		return err
	}
	return p.stage.Bot.Start(ctx)
}

func (p *play) forged(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	said := map[string][]string{ // by the forge: what tells of a push, then wrong proofs
		"github": {"X-GitHub-Event=push X-GitHub-Delivery=1", "X-Hub-Signature-256=sha256=" + strings.Repeat("0", 64)},
		"gitlab": {"X-Gitlab-Event=Push_Hook Webhook-Id=1", "X-Gitlab-Token=wrong", "Webhook-Timestamp=1 Webhook-Signature=v1,AAAA"},
	}[p.words()["FORGE"]]
	for _, proof := range append([]string{""}, said[1:]...) {
		headers := strings.Fields(said[0] + " " + proof)
		err := p.http(ctx, ts, append([]string{"POST", "/hooks/" + p.words()["FORGE"], "401", "body=" + args[0]}, headers...))
		if err != nil {
			return fmt.Errorf("with the proof %q: %w", proof, err)
		}
	}
	return nil
}

func (p *play) http(ctx context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) < 3 {
		return errUsage
	}
	var body io.Reader = http.NoBody
	header := http.Header{}
	for _, a := range args[3:] {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "body":
			body = strings.NewReader(ts.ReadFile(value))
		case "size":
			size, err := strconv.Atoi(value)
			if err != nil {
				return err
			}
			body = strings.NewReader(strings.Repeat("x", size))
			header.Set("Expect", "100-continue") // as curl does: an answer that needs no body comes before it
		default:
			header.Set(name, value)
		}
	}
	req, err := http.NewRequestWithContext(ctx, args[0], p.stage.Bot.URL()+args[1], body)
	if err != nil {
		return err
	}
	req.Header = header
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if strconv.Itoa(answer.StatusCode) != args[2] {
		return fmt.Errorf("%s %s was answered %s: %s", args[0], args[1], answer.Status, text)
	}
	_, err = ts.Stdout().Write(text)
	return err
}

func (p *play) redeliver(ctx context.Context, _ *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	if err := p.stage.Hub.Idle(ctx); err != nil {
		return err
	}
	all := p.stage.Hub.Deliveries()
	for _, d := range slices.Backward(all) {
		if !strings.EqualFold(strings.TrimSuffix(d.Event, " Hook"), args[0]) {
			continue
		}
		if err := p.stage.Hub.Redeliver(d.ID); err != nil {
			return err
		}
		if err := p.stage.Hub.Idle(ctx); err != nil {
			return err
		}
		for _, again := range p.stage.Hub.Deliveries()[len(all):] {
			if again.GUID == d.GUID && strconv.Itoa(again.Code) == args[1] {
				return nil
			}
		}
		return fmt.Errorf("webhook %s was not answered %s", d.GUID, args[1])
	}
	return fmt.Errorf("the forge sent no %s yet", args[0])
}

func (p *play) exits(_ context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		code = ended.ExitCode()
	case err != nil:
		return err
	}
	if strconv.Itoa(code) != args[0] {
		return fmt.Errorf("%s ended with exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
	return nil
}

func (p *play) json(_ context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	text := ts.ReadFile(args[0])
	if len(args) == 1 && json.Valid([]byte(text)) {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return fmt.Errorf("%s is no JSON object: %w\n%s", args[0], err, text)
	}
	for _, key := range args[1:] {
		if _, ok := object[key]; !ok {
			return fmt.Errorf("%s has no %q\n%s", args[0], key, text)
		}
	}
	return nil
}

func (p *play) member(_ context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &object); err != nil {
		return err
	}
	_, err := fmt.Fprintf(ts.Stdout(), "%s\n", object[args[1]])
	return err
}

func (p *play) mode(_ context.Context, ts *testscript.TestScript, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	if err == nil && fmt.Sprintf("%o", info.Mode().Perm()) != args[1] {
		err = fmt.Errorf("%s has the permissions %o", args[0], info.Mode().Perm())
	}
	return err
}
