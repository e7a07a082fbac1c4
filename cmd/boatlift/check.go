package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/login"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/reconcile"
	"github.com/boatlift/boatlift/internal/registry"
)

func newCheck() *cobra.Command {
	var asJSON, overNetwork bool
	var own ownPolicies
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Check configuration files, and show what would be promoted by which rule",
		Long: `Check the boatlift.yaml of the bot, or the .boatlift.yaml of an infra repository, in a
folder (the current one by default). For an infra repository it also shows, without any
network, which images of which kustomizations would be promoted by which rule, which
not, and why.

With --online it looks, by the boatlift.yaml of the folder, at what the bot depends on:
whether senders can reach it, its secrets and its clock, how long registries and forges
take to answer, what the bot may do at the forge and what it lacks or has too much of,
every .boatlift.yaml that it finds there, and whether the forge enforces the gate. It
changes nothing. Each thing that has to be done is two lines: what, and what to do; and
the exit code is 1.`,
		Example: `  boatlift check
  boatlift check --online /etc/boatlift`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if overNetwork {
				return checkOnline(cmd, dir, asJSON)
			}
			return check(cmd, dir, own.dir, asJSON)
		},
	}
	cmd.Flags().StringVar(&own.dir, "policies", "", "the folder with the organisation's own policies, for a .boatlift.yaml that uses them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&overNetwork, "online", false, "look at registries and forges, and at how they reach the bot")
	cmd.MarkFlagsMutuallyExclusive("online", "policies")
	return cmd
}

// configError makes any error one of configuration, for the exit code.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }
func (e *configError) exitCode() int { return exitConfig }

// checkReport is what check prints as JSON.
type checkReport struct {
	Bot    string       `json:"bot,omitempty"`  // the boatlift.yaml that is right
	Repo   string       `json:"repo,omitempty"` // the .boatlift.yaml that is right
	Images []checkImage `json:"images"`
}

type checkImage struct {
	Environment string `json:"environment"`
	File        string `json:"file"`
	Image       string `json:"image"`
	Tag         string `json:"tag,omitempty"`
	Promoted    bool   `json:"promoted"`
	Rule        string `json:"rule,omitempty"`
	Why         string `json:"why,omitempty"`
	Hint        string `json:"hint,omitempty"`
}

func check(cmd *cobra.Command, dir, policies string, asJSON bool) error {
	botFile, repoFile := filepath.Join(dir, "boatlift.yaml"), filepath.Join(dir, reconcile.ConfigFile)
	report := checkReport{Images: []checkImage{}}
	var errs []error
	botText, botErr := os.ReadFile(botFile)
	repoText, repoErr := os.ReadFile(repoFile)
	if errors.Is(botErr, fs.ErrNotExist) && errors.Is(repoErr, fs.ErrNotExist) {
		return &fileError{dir, "there is neither a boatlift.yaml nor a .boatlift.yaml", "name the folder of the bot's configuration, or of an infra repository"}
	}
	if botErr == nil {
		bot, err := config.ParseBot(botFile, botText, environ(botFile))
		if err == nil {
			err = checkSenders(bot)
		}
		var wrong []error
		if err == nil && bot.PolicyDir != "" {
			if policies == "" {
				policies = beside(botFile, bot.PolicyDir)
			}
			_, wrong, err = loadPolicies(beside(botFile, bot.PolicyDir))
		}
		errs = append(errs, wrong...)
		if err != nil {
			errs = append(errs, err)
		} else if len(wrong) == 0 {
			report.Bot = botFile
		}
	} else if !errors.Is(botErr, fs.ErrNotExist) {
		errs = append(errs, botErr)
	}
	if repoErr == nil {
		images, err := checkRepo(dir, repoFile, policies, repoText)
		if err != nil {
			errs = append(errs, err)
		} else {
			report.Repo, report.Images = repoFile, images
		}
	} else if !errors.Is(repoErr, fs.ErrNotExist) {
		errs = append(errs, repoErr)
	}
	if asJSON {
		if err := printJSON(cmd, report); err != nil {
			return err
		}
	} else {
		printCheck(cmd.OutOrStdout(), report)
	}
	for _, err := range errs {
		say(cmd.ErrOrStderr(), err)
	}
	if len(errs) > 0 {
		return silent(exitConfig)
	}
	return nil
}

// checkSenders tells which registries lack what their types need, and which forges have a key that does not sign.
func checkSenders(bot config.Bot) error {
	var errs []error
	for _, r := range bot.Registries {
		if r.Webhook != "" || r.OnlyPolled {
			continue // proved by its forge, or never
		}
		if _, err := makeSender(r, r.Secrets); err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := makeSigners(bot); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// environ is how the bot's configuration gets at its secrets.
func environ(file string) config.Environ {
	var types, noSecret, ownHost []string
	for _, t := range registry.Types() {
		types = append(types, t.Name)
		if t.MayLackSecret() {
			noSecret = append(noSecret, t.Name)
		}
		if t.Host != "" {
			ownHost = append(ownHost, t.Name)
		}
	}
	dir := filepath.Dir(file)
	return config.Environ{
		Getenv: os.LookupEnv, RegistryTypes: types, NoSecret: noSecret, OwnHost: ownHost, PoliciesIn: policiesIn(file),
		HelperFits: login.Fits,
		ReadFile: func(name string) ([]byte, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			return os.ReadFile(name)
		},
	}
}

func checkRepo(dir, file, policies string, text []byte) ([]checkImage, error) {
	engine, _, err := loadPolicies(policies)
	if err != nil {
		return nil, err
	}
	cfg, err := config.ParseRepo(file, text, engine, config.Require{})
	if err != nil {
		return nil, err
	}
	texts, refusals, err := kustomizations(dir)
	if err != nil {
		return nil, err
	}
	lists, unlisted := reconcile.Listings(cfg, texts, refusals)
	images := []checkImage{}
	for _, l := range lists {
		images = append(images, judgeListing(cfg, lists, l))
	}
	for _, u := range unlisted {
		images = append(images, checkImage{Environment: u.Environment, File: u.File, Image: u.Entry, Why: u.Why})
	}
	for file, why := range refusals {
		if env, ok := cfg.Of(file); ok && texts[file] == nil {
			images = append(images, checkImage{Environment: env.Name, File: file, Why: why})
		}
	}
	order := func(i checkImage) int {
		return slices.IndexFunc(cfg.Environments, func(e promotion.Environment) bool { return e.Name == i.Environment })
	}
	slices.SortStableFunc(images, func(a, b checkImage) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.File, b.File))
	})
	return images, nil
}

// judgeListing tells whether an entry would be promoted, and by which rule.
func judgeListing(cfg promotion.Config, lists []promotion.Listing, l promotion.Listing) checkImage {
	out := checkImage{Environment: l.Environment, File: l.File, Image: string(l.Image), Tag: l.Tag}
	env, _ := cfg.Environment(l.Environment)
	rule, wanted := env.Rule(l.Image)
	switch {
	case env.Mode == promotion.Off:
		out.Why = "mode: off"
		return out
	case !wanted:
		out.Why, out.Hint = "no rule under images: matches it", "add it to images: of "+env.Name+" if it should move"
		return out
	case l.Refusal != "":
		out.Why = l.Refusal
		return out
	}
	if rule.IsZero() {
		tag := l.Tag
		for _, o := range lists { // as the bot does: the tag of any entry of the environment serves
			if tag == "" && o.Environment == l.Environment && o.Image == l.Image {
				tag = o.Tag
			}
		}
		var err error
		if rule, err = image.Infer(tag); err != nil {
			out.Why = err.Error()
			var none *image.NoRuleError
			if errors.As(err, &none) {
				out.Hint = none.Hint()
			}
			return out
		}
	}
	out.Promoted, out.Rule, out.Why = true, rule.String(), rule.Say()
	if env.Mode == promotion.Observe {
		out.Promoted, out.Why = false, "mode: observe tells what would be proposed, and proposes nothing"
	}
	return out
}

// kustomizations reads every kustomization below a folder. Links are not followed.
func kustomizations(dir string) (texts map[string][]byte, refusals map[string]string, err error) {
	texts, refusals = map[string][]byte{}, map[string]string{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !kustomize.IsKustomization(d.Name()) || d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !d.Type().IsRegular() {
			refusals[rel] = rel + " is a link"
			return nil
		}
		text, err := os.ReadFile(p)
		texts[rel] = text
		return err
	})
	return texts, refusals, err
}

func printCheck(w io.Writer, r checkReport) {
	if r.Bot != "" {
		fmt.Fprintf(w, "%s is right\n", r.Bot)
	}
	if r.Repo == "" {
		return
	}
	fmt.Fprintf(w, "%s is right\n", r.Repo)
	env := ""
	for _, i := range r.Images {
		if i.Environment != env {
			env = i.Environment
			fmt.Fprintf(w, "\n%s\n", shown(env))
		}
		mark, rule := "+", i.Rule
		if !i.Promoted || strings.HasPrefix(i.Why, i.Rule) {
			rule = i.Why
		}
		if !i.Promoted {
			mark = "-"
		}
		fmt.Fprint(w, " ")
		for _, word := range []string{mark, i.Image, i.Tag} {
			if word != "" {
				fmt.Fprintf(w, " %s", shown(word))
			}
		}
		fmt.Fprintf(w, "  %s\n", shown(i.File))
		fmt.Fprintf(w, "      %s\n", shown(rule))
		if i.Hint != "" {
			fmt.Fprintf(w, "      %s\n", shown(i.Hint))
		}
	}
	if len(r.Images) == 0 {
		fmt.Fprintln(w, "\nNo kustomization of any environment lists an image.")
	}
}
