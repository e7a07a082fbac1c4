package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// TestAfterTheDatabaseWasLostForgedMarkersAreNotBelieved takes the bot's database away in the middle of its work, after alice has forged
// what marks its pull requests, in every way that she can. The bot believes its own only, and goes on without doubling anything.
func TestAfterTheDatabaseWasLostForgedMarkersAreNotBelieved(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := set(t, stage.Options{})
	if err := s.Push(ctx, "1.4.2"); err != nil {
		t.Fatal(err)
	}
	acceptance, err := s.AwaitPull(ctx, stage.Acceptance, "1.4.2")
	if err != nil {
		t.Fatal(err)
	}
	production, err := s.AwaitPull(ctx, stage.Production, "1.4.2")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	const evil = "sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	if err := s.Push(ctx, "1.4.3"); err != nil { // so that the bot is in the middle of something
		t.Fatal(err)
	}
	if err := s.Bot.Kill(); err != nil {
		t.Fatal(err)
	}
	if acceptance, err = s.Hub.Pull(stage.Acceptance, acceptance.Number); err != nil {
		t.Fatal(err)
	}
	genuine := markerOf(t, acceptance.Body)
	forged := forgeMarker(t, markerOf(t, production.Body), evil)
	// Her own pull requests carry the bot's genuine marker, and one that is made up.
	hers := []int{openAs(t, s, "copied", genuine), openAs(t, s, "made-up", forgeMarker(t, genuine, evil))}
	// And she writes another release into the bot's own pull request, of a branch that the bot made.
	editAs(t, s, stage.Production, production.Number, strings.Replace(production.Body, markerOf(t, production.Body), forged, 1))
	if err := os.RemoveAll(s.Bot.DataDir()); err != nil {
		t.Fatal(err)
	}
	if err := s.Bot.Start(ctx); err != nil {
		t.Fatal(err)
	}
	awaitSaid(t, s, "boatlift resume")
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	text := statusText(t, s)
	standing := acceptance.State == "open" // unless 1.4.3 took its place already
	if standing && !strings.Contains(text, address(stage.Acceptance, acceptance.Number)) || strings.Contains(text, address(stage.Production, production.Number)) {
		t.Errorf("the bot should know acceptance's pull request again, and not production's, whose marker is forged: %s", text)
	}
	if _, err := s.Bot.Command(ctx, "resume"); err != nil {
		t.Fatal(err)
	}
	if err := s.Push(ctx, "1.4.4"); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if _, err := s.AwaitPull(ctx, repo, "1.4.4"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}

	text = statusText(t, s)
	if strings.Contains(text, evil) {
		t.Error("the bot took up a release that alice made up")
	}
	for _, n := range hers {
		pull, err := s.Hub.Pull(stage.Acceptance, n)
		if err != nil {
			t.Fatal(err)
		}
		said, err := s.Hub.Comments(stage.Acceptance, n)
		if err != nil {
			t.Fatal(err)
		}
		if pull.State != "open" || len(said) > 0 {
			t.Errorf("alice's #%d is %s, with %d comments; want it left alone", n, pull.State, len(said))
		}
		if strings.Contains(text, address(stage.Acceptance, n)) {
			t.Errorf("the bot took alice's #%d for its own", n)
		}
	}
	adopted, err := s.Hub.Pull(stage.Acceptance, acceptance.Number)
	if err != nil {
		t.Fatal(err)
	}
	if adopted.State != "closed" {
		t.Errorf("the bot's own #%d is %s, want it superseded by 1.4.4", acceptance.Number, adopted.State)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		for _, tag := range []string{"1.4.2", "1.4.3", "1.4.4"} {
			if pulls, err := s.Pulls(repo, tag); err != nil || len(pulls) > 1 {
				t.Errorf("%s has %d pull requests for %s: %v", repo, len(pulls), tag, err)
			}
		}
	}
	noFailedWork(t, s)
}

// statusText is all that the bot knows of its promotions.
func statusText(t *testing.T, s *stage.Stage) string {
	t.Helper()
	status, err := s.Bot.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// address is how a pull request's URL ends, as a JSON text has it.
func address(repo string, number int) string { return fmt.Sprintf(`%s/pull/%d"`, repo, number) }

func awaitSaid(t *testing.T, s *stage.Stage, words string) {
	t.Helper()
	err := stage.Await(t.Context(), patience, "boatlift status to say "+words, func() (bool, error) {
		told, err := s.Bot.Command(t.Context(), "status")
		return err == nil && strings.Count(told, words) >= 2, nil // the bot may not be up yet
	})
	if err != nil {
		t.Fatal(err)
	}
}

// markerOf is what marks a pull request as the bot's.
func markerOf(t *testing.T, body string) string {
	t.Helper()
	start := strings.LastIndex(body, "<!-- boatlift:")
	if start < 0 {
		t.Fatalf("there is no marker in %q", body)
	}
	text, _, ok := strings.Cut(body[start:], " -->")
	if !ok {
		t.Fatalf("the marker has no end in %q", body)
	}
	return text + " -->"
}

// forgeMarker puts another digest into a marker and keeps its signature.
func forgeMarker(t *testing.T, marker, digest string) string {
	t.Helper()
	payload, signature, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(marker, "<!-- boatlift:"), " -->"), ".")
	if !ok {
		t.Fatalf("%q has no signature", marker)
	}
	packed, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ID      string `json:"id"`
		Release struct {
			ID          string           `json:"id"`
			Environment string           `json:"environment"`
			App         string           `json:"app"`
			Changes     []map[string]any `json:"changes"`
		} `json:"release"`
	}
	if err := json.Unmarshal(text, &m); err != nil || len(m.Release.Changes) == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	m.Release.Changes[0]["digest"] = digest
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return "<!-- boatlift:" + base64.RawURLEncoding.EncodeToString(out.Bytes()) + "." + signature + " -->"
}

// openAs opens a pull request of alice's in acceptance that changes something else, with a body.
func openAs(t *testing.T, s *stage.Stage, branch, body string) int {
	t.Helper()
	_, err := s.Hub.Push(t.Context(), stage.Acceptance, hub.Commit{Person: "alice", Branch: branch, Files: map[string][]byte{branch + ".md": []byte("hello\n")}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Hub.OpenPull(t.Context(), stage.Acceptance, hub.NewPull{Person: "alice", Title: branch, Body: body, Head: branch})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// editAs edits the body of a pull request as alice, who may write to the repository, through the forge's own API.
func editAs(t *testing.T, s *stage.Stage, repo string, number int, body string) {
	t.Helper()
	text, err := json.Marshal(map[string]string{"body": body})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, fmt.Sprintf("%s/repos/%s/pulls/%d", s.Hub.APIURL(), repo, number), bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Hub.AddPerson("alice").Token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("alice's edit of %s#%d: %s", repo, number, answer.Status)
	}
}
