// Package render runs kustomize build before and after an edit and shows the difference.
//
// kustomize fetches URLs, runs git, keeps process-wide state and can be made to use any amount of memory by the repository
// that it builds. So nothing of it runs in the bot's own process: a child process of the same binary does, one per call, and it
// has nothing but a pipe to its parent. Over the pipe it asks for paths of one commit's tree; Source answers, and Source is
// the only way in. The child's environment is empty, its working directory is /, http.DefaultTransport always fails, and where
// the system offers it the child lives in a network namespace of its own, under a system call filter that knows no sockets, no
// files and no programs, and under limits on memory and processor time. What overstays its time is killed as a process group.
//
// Promises:
//
//   - A build that is refused, fails, dies or hangs never does more than fill Directory.Err (for Build: the error) with a
//     *RefusedError whose reason a person can read. Only a cancelled context, wrong arguments and a child that cannot be
//     started are errors of the call itself.
//   - What a Secret holds appears in no diff and in neither of Compare's builds: whether a value changed is said, nothing else, no
//     length and no hash; the content hash that a secretGenerator appends to the name is masked too. Where replacements or vars
//     may copy from a Secret, its values are also masked in all other resources. Reasons are searched for the values that the files
//     read so far hold. A value that the repository itself writes into a ConfigMap, or uses as a key or a name, is not a Secret's
//     value there. Build returns what kustomize printed, Secrets included.
//   - A diff is bounded (Options.MaxDiff, MaxLine), cut only between lines, and says that it was cut. It and every reason hold no
//     control or direction-changing characters. Escaping for Markdown or HTML is the caller's work.
//   - Renderer may be used by many goroutines; at most Options.MaxConcurrent children run at a time.
//
// Which directories to build, what to put in the overlay and how the commit is read are other packages' work. Unix only.
//
// # Decisions
//
// Compare masks Secrets in the child, before anything crosses the pipe, so Before and After are masked as well as the diff.
// The parent never parses YAML that a repository wrote: the diff is made in the child too, and only bounded text comes back.
//
// Memory is limited by RLIMIT_DATA, measured from what the process has at its start, not by RLIMIT_AS: Go reserves address
// space far beyond what it uses, and a binary built with the race detector reserves terabytes. A watch inside the child stops it
// earlier, with a better reason, and is all there is on systems without RLIMIT_DATA semantics of Linux.
//
// Load restrictions are kustomize's default (files in or below the kustomization that names them; directories anywhere in
// the repository), and so is the order of resources, so the text equals that of kustomize build in a checkout.
package render
