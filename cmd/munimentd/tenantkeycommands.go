package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

func tenantKeyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tenant-key",
		Short: "Show tenants' keys, rotate them, or let a KMS keep them shut",
		Long: `A tenant's key file, DIR/keys/tenants/<id>.key, has two halves. The wrap half seals the data
key of each of its deposits, and can be rotated. The index half makes the keyed digests by
which deposits are found and retries recognised, which stand in the ledger for ever: it is
never rotated.

A rotation changes no document, record, entry or receipt: data keys are sealed anew, and
stay what they are.

  rotate    adds a new generation to the key file and offers it. With replicas, copy the
            file to keys/tenants of each: a second later each has it, without a restart.
            Once every replica that runs has it, everything new is sealed under it, and the
            one that seals the log seals the data keys of all that is older anew.
  status    tells how far that has come. It goes on after any interruption.
  retire    once nothing stands under an older generation, takes it out of the key file; on
            each replica. From then on it opens nothing of this depository. A backup or an
            archive from before still needs it, and so does any older copy of the ledger:
            take a new backup first.

The key of the depository's own entries is that of the tenant
00000000-0000-0000-0000-000000000000.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(tenantKeyStatusCommand(), tenantKeyRotateCommand(), tenantKeyRetireCommand(), tenantKeyWrapCommand())
	return c
}

// keyProgress is how far the rotation of one tenant's key has come.
type keyProgress struct {
	Tenant      string    `json:"tenant"`
	Generations []uint32  `json:"generations,omitempty"` // in the key file here
	Generation  uint32    `json:"generation"`            // in force; 0: the lowest, since none was rotated
	Next        uint32    `json:"next,omitempty"`        // offered
	Phase       string    `json:"phase"`                 // offered, sealing, checking, clean; empty: none was rotated
	Begun       time.Time `json:"begun,omitzero"`        // when Generation was put in force
	Through     uint64    `json:"through,omitempty"`     // index below which all is sealed anew
	Size        uint64    `json:"size,omitempty"`        // of the log
}

func progressOf(r notary.Rotation) keyProgress {
	p := keyProgress{Tenant: r.Tenant.String(), Generation: r.Generation, Next: r.Next, Begun: r.Begun, Through: r.Through, Size: r.Size}
	switch {
	case r.Next > 0:
		p.Phase = "offered"
	case r.Clean:
		p.Phase = "clean"
	case r.Generation > 0 && (r.Size == 0 || r.Through < r.Size):
		p.Phase = "sealing"
	case r.Generation > 0:
		p.Phase = "checking"
	}
	return p
}

func (p keyProgress) String() string {
	text := fmt.Sprintf("%s  key file has generations %d", p.Tenant, p.Generations)
	switch p.Phase {
	case "offered":
		return text + fmt.Sprintf("; %d is offered, and waits until every replica that runs has it", p.Next)
	case "sealing":
		return text + fmt.Sprintf("; %d is in force; data keys of entries below %d of %d are sealed anew", p.Generation, p.Through, p.Size)
	case "checking":
		return text + fmt.Sprintf("; %d is in force; everything is looked through once more", p.Generation)
	case "clean":
		return text + fmt.Sprintf("; %d is in force, and nothing stands under an older one", p.Generation)
	}
	return text
}

// keyOptions are what the commands are told beside the settings.
type keyOptions struct {
	tenant notary.ID
	asJSON bool
	wait   time.Duration
	// approvals are the files by which a rotation was approved.
	approvals []string
}

func keySubcommand(use, short string, needsTenant bool, run func(context.Context, io.Writer, *config, keyOptions) error) *cobra.Command {
	var o keyOptions
	var tenant string
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if tenant != "" || needsTenant {
				if o.tenant, err = notary.ParseID(tenant); err != nil {
					return fmt.Errorf("--tenant: %w", err)
				}
			}
			return run(c.Context(), c.OutOrStdout(), cfg, o)
		},
	}
	settingFlags(c, onlyDir)
	if needsTenant {
		c.Flags().StringVar(&tenant, "tenant", "", "id of the tenant (required)")
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	if strings.HasPrefix(use, "rotate ") {
		approvalFlag(c, &o.approvals)
	}
	c.Flags().DurationVar(&o.wait, "wait", 0, "how long to wait until nothing stands under an older generation; 0: not at all")
	if !needsTenant || use[:6] == "retire" {
		_ = c.Flags().MarkHidden("wait")
	}
	return c
}

func tenantKeyStatusCommand() *cobra.Command {
	return keySubcommand("status --dir DIR", "Tell each tenant's generations, and how far rotations have come", false,
		func(ctx context.Context, out io.Writer, cfg *config, o keyOptions) error {
			files, err := cfg.tenantKeys()
			if err != nil {
				return err
			}
			all, err := keyStates(ctx, cfg, files)
			if err != nil {
				return err
			}
			if o.asJSON {
				return json.NewEncoder(out).Encode(all)
			}
			for _, p := range all {
				fmt.Fprintln(out, p)
			}
			return nil
		})
}

// keyStates tells of every tenant with a key file here.
func keyStates(ctx context.Context, cfg *config, files *tenantKeyFiles) (all []keyProgress, err error) {
	s, err := lookAt(ctx, cfg)
	if err != nil {
		return nil, err
	}
	rotated := map[string]keyProgress{}
	for _, r := range s.Rotations {
		rotated[r.Tenant] = progressOf(r.rotation())
	}
	tenants, err := files.tenants()
	for _, id := range tenants {
		p, ok := rotated[id.String()]
		if !ok {
			p.Tenant = id.String()
		}
		key, err := files.read(id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tenantKeyPath(cfg.Dir, id), err)
		}
		for _, g := range key.Generations() {
			p.Generations = append(p.Generations, g.Generation)
		}
		all = append(all, p)
	}
	return all, err
}

// lookAt learns the state of a depository, running or not.
func lookAt(ctx context.Context, cfg *config) (s state, err error) {
	err = withDepositoryOr(ctx, cfg, func(d *depository) error {
		s, err = stateOf(ctx, d.store)
		return err
	}, func() error {
		s, err = askState(ctx, cfg.Dir)
		return err
	})
	return s, err
}

// rotationState is a rotation as the answer to GET /state has it.
type rotationState struct {
	Tenant string `json:"tenant"`
	notary.Rotation
}

func (s rotationState) rotation() notary.Rotation {
	r := s.Rotation
	r.Tenant, _ = notary.ParseID(s.Tenant) // written by this program
	return r
}

// rotation is that of one tenant's key, as far as it has come.
func (s state) rotation(tenant notary.ID) notary.Rotation {
	for _, r := range s.Rotations {
		if r.Tenant == tenant.String() {
			return r.rotation()
		}
	}
	return notary.Rotation{Tenant: tenant}
}

// withDepositoryOr opens a depository, or asks the process that has it.
func withDepositoryOr(ctx context.Context, cfg *config, alone func(*depository) error, running func() error) error {
	err := withDepository(ctx, cfg, alone)
	if errors.Is(err, errTaken) {
		return running()
	}
	return err
}

func tenantKeyRotateCommand() *cobra.Command {
	return keySubcommand("rotate --dir DIR --tenant ID", "Put a new generation of a tenant's key in the place of the one in force", true, rotateTenantKey)
}

func rotateTenantKey(ctx context.Context, out io.Writer, cfg *config, o keyOptions) error {
	files, err := cfg.tenantKeys()
	if err != nil {
		return err
	}
	s, err := lookAt(ctx, cfg)
	if err != nil {
		return err
	}
	ok, err := approveTenantKey(ctx, cfg, o, s.rotation(o.tenant))
	if err != nil {
		return err
	}
	if err := addGeneration(ctx, files, o.tenant, s.rotation(o.tenant)); err != nil {
		return err
	}
	if err := ok.used(); err != nil {
		return err
	}
	var p keyProgress
	err = withDepositoryOr(ctx, cfg, func(d *depository) error {
		r, err := offerTenantKey(ctx, d.store.Keys, files, o.tenant)
		if err == nil && d.lock != nil { // else replicas may run, and one of them seals
			err = notary.RotateNow(ctx, d.config, o.tenant, func(now notary.Rotation) { r = now })
		}
		p = progressOf(r)
		return err
	}, func() error {
		p, err = askOffer(ctx, cfg.Dir, o.tenant)
		return err
	})
	if err != nil {
		return err
	}
	if p, err = awaitClean(ctx, cfg, files, p, o); err != nil {
		return err
	}
	if o.asJSON {
		return json.NewEncoder(out).Encode(p)
	}
	fmt.Fprintln(out, p)
	_, err = fmt.Fprintf(out, "NOW: %s\n", p.next(cfg))
	return err
}

// approveTenantKey has a rotation approved where it must be, and the approval in the log before
// anything is done. One that is under way goes on without.
func approveTenantKey(ctx context.Context, cfg *config, o keyOptions, r notary.Rotation) (ok approved, err error) {
	if r.UnderWay() {
		return ok, nil
	}
	a := consent{"tenant-key-rotate", map[string]string{"tenant": o.tenant.String(), "generation": strconv.FormatUint(uint64(r.Generation), 10)}, o.approvals}
	err = withDepositoryOr(ctx, cfg, func(d *depository) error {
		s, err := d.standing(ctx, cfg.Dir)
		if err == nil {
			ok, err = a.approve(ctx, cfg.Dir, d.config.Policy.Logs[0].Name, d.newest, s)
		}
		if err == nil && ok.note != "" {
			err = notary.WriteApproval(ctx, d.config, ok.note, ok.nonce)
		}
		return err
	}, func() error {
		now, err := askState(ctx, cfg.Dir)
		if err != nil {
			return err
		}
		s, err := readApprovers(cfg.Dir, now.Approvers, false)
		if err != nil || !s.any && len(o.approvals) == 0 {
			return err
		}
		policy, err := readPolicy(cfg.Dir)
		if err != nil {
			return err
		}
		ok, err = a.approve(ctx, cfg.Dir, policy.Logs[0].Name, func(context.Context) (proofs.Checkpoint, error) { return now.published(policy) }, s)
		if err == nil && ok.note != "" {
			err = askApproval(ctx, cfg.Dir, ok)
		}
		return err
	})
	return ok, err
}

// published is the newest published checkpoint of a running depository.
func (s state) published(policy proofs.Policy) (proofs.Checkpoint, error) {
	cp, outcome, reason := proofs.NewVerifier(policy.LogAlone()).Checkpoint(s.Published)
	if outcome != proofs.Verified {
		return cp, fmt.Errorf("the published checkpoint: %s", reason)
	}
	return cp, nil
}

// next says what there is to do.
func (p keyProgress) next(cfg *config) string {
	if p.Phase == "clean" {
		return "take a new backup; then munimentd tenant-key retire, on each replica"
	}
	if cfg.shared() {
		return "copy " + cfg.Dir + "/keys/tenants/" + p.Tenant + ".key to every replica, as it is; then see munimentd tenant-key status"
	}
	return "see munimentd tenant-key status until nothing stands under an older generation"
}

// addGeneration makes a new generation unless the file has one that is not in force yet.
func addGeneration(ctx context.Context, files *tenantKeyFiles, tenant notary.ID, r notary.Rotation) error {
	key, err := files.read(tenant)
	if err != nil {
		return fmt.Errorf("%s: %w", tenantKeyPath(files.dir, tenant), err)
	}
	all := key.Generations()
	inForce := all[0].Generation
	if r.Generation > 0 {
		inForce = r.Generation
	}
	if r.UnderWay() {
		return nil // OfferKey tells
	}
	if all[len(all)-1].Generation > inForce {
		return nil
	}
	more, _, err := key.With(rand.Reader)
	if err != nil {
		return err
	}
	return files.replace(ctx, tenant, more)
}

func offerTenantKey(ctx context.Context, keys notary.Keys, files *tenantKeyFiles, tenant notary.ID) (notary.Rotation, error) {
	key, err := files.read(tenant)
	if err != nil {
		return notary.Rotation{}, err
	}
	return notary.OfferKey(ctx, keys, tenant, key)
}

// awaitClean waits as long as it was told to.
func awaitClean(ctx context.Context, cfg *config, files *tenantKeyFiles, p keyProgress, o keyOptions) (keyProgress, error) {
	deadline := time.Now().Add(o.wait)
	for {
		all, err := keyStates(ctx, cfg, files)
		if err != nil {
			return p, err
		}
		for _, now := range all {
			if now.Tenant == p.Tenant {
				p = now
			}
		}
		if p.Phase == "clean" || time.Now().After(deadline) {
			if o.wait > 0 && p.Phase != "clean" {
				return p, fmt.Errorf("after %v: %s", o.wait, p)
			}
			return p, nil
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

func tenantKeyRetireCommand() *cobra.Command {
	return keySubcommand("retire --dir DIR --tenant ID", "Take the generations that nothing stands under any more out of the key file", true,
		func(ctx context.Context, out io.Writer, cfg *config, o keyOptions) error {
			files, err := cfg.tenantKeys()
			if err != nil {
				return err
			}
			s, err := lookAt(ctx, cfg)
			if err != nil {
				return err
			}
			key, err := files.read(o.tenant)
			if err != nil {
				return err
			}
			kept, old, err := key.Retire(s.rotation(o.tenant))
			if err != nil {
				return fmt.Errorf("%w; see munimentd tenant-key status", err)
			}
			if old {
				if err := files.replace(ctx, o.tenant, kept); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(out, "generation %d alone is in %s\nNOW: destroy every other copy of the file before, but for what older backups need\n", kept.Generation, tenantKeyPath(cfg.Dir, o.tenant))
			return err
		})
}

func tenantKeyWrapCommand() *cobra.Command {
	var plain bool
	c := keySubcommand("wrap --dir DIR", "Have the KMS of the settings wrap every key file, under the newest version of its key", false,
		func(ctx context.Context, out io.Writer, cfg *config, _ keyOptions) error {
			files, err := cfg.tenantKeys()
			if err != nil {
				return err
			}
			if files.kms == nil {
				return errors.New("kms.engine is file: no KMS is set that could wrap, or unwrap, anything")
			}
			tenants, err := files.tenants()
			if err != nil {
				return err
			}
			for _, id := range tenants {
				key, err := files.read(id)
				if err == nil && plain {
					err = (&tenantKeyFiles{dir: files.dir}).replace(ctx, id, key)
				} else if err == nil {
					err = files.replace(ctx, id, key)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", tenantKeyPath(cfg.Dir, id), err)
				}
			}
			_, err = fmt.Fprintf(out, "%d key files rewritten; %s can open them\n", len(tenants), map[bool]string{true: "whoever reads them", false: "only " + files.kms.KeyID()}[plain])
			return err
		})
	c.Long = `Every file in DIR/keys/tenants is unwrapped, if it is wrapped, and wrapped again, under the
newest version of the KMS's key: do this once after kms.engine is set, and after each
rotation of that key in the KMS, before its older versions are destroyed there. The bytes of
the file before are overwritten in place; a file system that copies on write, a snapshot or a
backup may still have them.

With --plain the files are left unwrapped, as kms.engine: file wants them.`
	c.Flags().BoolVar(&plain, "plain", false, "unwrap the files instead, and leave them so")
	return c
}

// offered is the answer to POST /tenant-key.
type offered struct {
	Progress keyProgress `json:"progress"`
	Error    string      `json:"error,omitempty"`
}

func (c *control) offerKey(w http.ResponseWriter, r *http.Request) {
	var o offered
	tenant, err := notary.ParseID(r.URL.Query().Get("tenant"))
	if err == nil {
		var now notary.Rotation
		now, err = offerTenantKey(r.Context(), c.store.Keys, c.tenantKeys, tenant)
		o.Progress = progressOf(now)
	}
	if err != nil {
		o.Error = err.Error()
	}
	_ = json.NewEncoder(w).Encode(o)
}

func askOffer(ctx context.Context, dir string, tenant notary.ID) (keyProgress, error) {
	resp, err := ask(ctx, dir, http.MethodPost, "/tenant-key?tenant="+tenant.String())
	if err != nil {
		return keyProgress{}, err
	}
	defer resp.Body.Close()
	var o offered
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
		return o.Progress, fmt.Errorf("the depository stopped answering: %w", err)
	}
	if o.Error != "" {
		return o.Progress, errors.New(o.Error)
	}
	return o.Progress, nil
}
