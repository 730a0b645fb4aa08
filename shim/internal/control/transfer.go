package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/key2oauth/key2oauth/shim/internal/endpoint"
	"github.com/key2oauth/key2oauth/shim/internal/httpx"
	"github.com/key2oauth/key2oauth/shim/internal/problem"
	"github.com/key2oauth/key2oauth/shim/internal/vault"
	"github.com/key2oauth/key2oauth/shim/internal/web"
)

// ExportName is the name of the file that Export makes.
const ExportName = "key2oauth-servers.json"

// Export returns all servers as a file, without their keys.
func (c *Control) Export() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(endpoint.NewExport(c.cfg.Vault.Endpoints()))
	return b.Bytes(), err
}

// Backup writes everything that is saved to a file, without the encryption key. It
// replaces a file of that name only if it may.
func (c *Control) Backup(file string, replace bool) error {
	if !filepath.IsAbs(file) {
		return problem.Invalid("file", problem.Sentence(web.TextBackupPath))
	}
	if _, err := os.Lstat(file); err == nil && !replace {
		return httpx.New(http.StatusConflict, web.TextBackupExists)
	}
	err := c.cfg.Vault.Backup(file)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &httpx.Error{Status: http.StatusBadRequest, Msg: fmt.Sprintf(web.TextBackupFailed, e.Err), Err: err}
	}
	return c.Explain(err)
}

// An ImportPlan is what an import adds and what it leaves out.
type ImportPlan struct {
	Added   []endpoint.Endpoint
	Skipped []endpoint.Endpoint // at addresses that are taken
}

// PlanImport returns what Import would do. It changes nothing.
func (c *Control) PlanImport(file []byte) (ImportPlan, error) {
	var in ImportPlan
	all, err := endpoint.ParseExport(file)
	if err != nil {
		return in, problem.Invalid("file", err)
	}
	for _, e := range all {
		if _, taken := c.cfg.Vault.Endpoint(e.Slug); taken {
			in.Skipped = append(in.Skipped, e)
		} else {
			in.Added = append(in.Added, e)
		}
	}
	return in, nil
}

// Import adds the servers of a file that are new: all of them, or none.
func (c *Control) Import(file []byte) (ImportPlan, error) {
	in, err := c.PlanImport(file)
	if err != nil {
		return in, err
	}
	now := time.Now().UTC()
	added := make([]vault.NewEndpoint, len(in.Added))
	for i, e := range in.Added {
		e.Created = now.Add(time.Duration(i)) // the order of the file
		added[i].Endpoint = e
	}
	if err := c.cfg.Vault.AddEndpoints(added...); err != nil {
		if errors.Is(err, vault.ErrExists) {
			return in, httpx.New(http.StatusConflict, web.TextImportRace)
		}
		return in, c.Explain(err)
	}
	for _, e := range in.Added {
		c.cfg.Pulse.Look(e.Slug)
	}
	c.Changed()
	return in, nil
}
