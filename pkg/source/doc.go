// Package source turns a git repository or a local folder into snapshots.
//
// Inputs: a URL (https, http, ssh, file) or a path, what to follow (branch, tag, semver range, commit), and files with
// credentials. Outputs: gitops.Snapshot values and nudges that a newer one may exist.
// Invariants: a snapshot never changes after Fetch returned it; git is read straight from its objects and never checked out;
// a poll is one listing of references, and objects are fetched only when the followed reference moved; nothing outside the
// repository is ever read (symlinks are followed inside the tree only, submodules not at all); errors are *gitops.Error with
// one of the reasons SourceUnreachable, SourceDenied and SourceInvalid and never carry credentials.
package source
