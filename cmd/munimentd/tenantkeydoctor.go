package main

import (
	"errors"

	"github.com/muniment/muniment/notary"
)

// rotationOf holds a tenant's key file against what the ledger says is in force, and reports
// whether it has that.
func (e *examination) rotationOf(tenant notary.ID, key notary.TenantKey) bool {
	r, path := e.state.rotation(tenant), tenantKeyPath(e.dir, tenant)
	missing, err := key.Missing(r)
	if missing > 0 {
		e.add("tenants", wrong, "copy the file from a replica that has it, or from where the keys are kept apart", "generation %d of a tenant's key is in force or offered, and %s has not got it", missing, path)
		return false
	}
	if err != nil {
		e.add("tenants", wrong, "copy the file from a replica that has the right one", "%s: %v", path, err)
		return false
	}
	_, old, err := key.Retire(r)
	switch p := progressOf(r); {
	case p.Phase == "offered":
		e.add("tenants", doubtful, "copy the file to every replica that runs; it goes on by itself", "generation %d of the key in %s is offered, and waits until every replica has it", r.Next, path)
	case errors.Is(err, notary.ErrKeyStep) && r.UnderWay():
		e.add("tenants", doubtful, "nothing to do: the munimentd serve that seals goes on; munimentd tenant-key status tells how far", "the rotation of the key in %s to generation %d is under way", path, r.Generation)
	case err == nil && old:
		e.add("tenants", doubtful, "take a new backup, then munimentd tenant-key retire --dir "+e.dir+" --tenant "+tenant.String(), "%s still has generations that nothing stands under any more", path)
	}
	return true
}
