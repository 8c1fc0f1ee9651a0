package main

// What the command says by which operators' operations are approved.
var (
	sayApproveShort = phrase{"Approve what an operator is about to do", "批准运营方将要执行的操作"}
	sayApproveLong  = phrase{
		`Show in plain words what munimentd asks approval for: another key for the log, another key for
a tenant, the recovery of a lost ledger, or other approvers. With --key, sign it: read first
what stands there, and ask whoever sent it to you why. The signature is for this log, this
operation, once, and until the time that is shown.

Without --key nothing is signed. --new-key NAME makes your key, in the file that --key names;
give the line that it prints to the operator, and the file to nobody.

Exit code 0: it was shown, or signed. 2: it was not.`,
		`用通俗语言说明 munimentd 请求批准的事项：更换日志密钥、更换租户密钥、恢复丢失的账本，或更换
批准人。加 --key 则签名：请先阅读所示内容，并向发来文件的人问明缘由。签名仅对该日志、该操作有效，
仅可使用一次，且不晚于所示时间。

不加 --key 则不签名。--new-key NAME 生成您的密钥，存于 --key 所指文件；将打印的一行交给运营方，
文件不得交给任何人。

退出码 0：已显示或已签名。2：未能完成。`,
	}
	sayApproveExample = phrase{
		`  muniment approve --new-key ann --key ann.key
  muniment approve approval-key-rotate-begin.request
  muniment approve approval-key-rotate-begin.request --key ann.key`,
		`  muniment approve --new-key ann --key ann.key
  muniment approve approval-key-rotate-begin.request
  muniment approve approval-key-rotate-begin.request --key ann.key`,
	}
	sayFlagApproveKey    = phrase{"file of your private key; with it, the request is signed", "您的私钥文件；指定后即签名"}
	sayFlagApproveNew    = phrase{"make a key under this name, 1 to 64 of a-z, 0-9, - and ., and sign nothing", "以此名称生成密钥（1 至 64 个 a-z、0-9、- 或 .），不签名"}
	sayFlagApproveOutput = phrase{"write the signed request here instead of into FILE", "将已签名的请求写到此处，而非 FILE"}

	sayOneRequest        = phrase{"name one file with a request", "请指定一个请求文件"}
	sayWhichApproverFile = phrase{"name the file for the new key with --key", "请用 --key 指定新密钥的文件"}
	sayApproverName      = phrase{"%q is no name for an approver: 1 to 64 of a-z, 0-9, - and .", "%q 不能作为批准人名称：须为 1 至 64 个 a-z、0-9、- 或 ."}
	sayApproverKey       = phrase{"give this to the operator: %s", "请将此行交给运营方：%s"}
	sayNoRequest         = phrase{"%s is no request for an approval, or was altered", "%s 不是批准请求，或已被改动"}
	sayRequestExpired    = phrase{"the request expired at %s; ask for another", "该请求已于 %s 过期；请重新申请"}
	sayApproverKeyOpen   = phrase{"others may read %s; run chmod 600 on it", "他人可读取 %s；请执行 chmod 600"}
	sayNoApproverKey     = phrase{"%s holds no private key of an approver", "%s 不是批准人的私钥"}

	sayApproveWhat      = phrase{"TO BE APPROVED: %s (%s)", "待批准：%s（%s）"}
	sayApproveLog       = phrase{"  of the log %s, which has %s entries and the root %s", "  日志 %s，共 %s 个条目，根为 %s"}
	sayApproveParameter = phrase{"  %s: %s", "  %s：%s"}
	sayApproveUntil     = phrase{"  once, and until %s", "  仅一次，有效至 %s"}
	sayApproveSigned    = phrase{"  bears a signature of %s, which is not checked here", "  已有 %s 的签名（此处未作核验）"}
	sayNotApproved      = phrase{"nothing was signed; --key signs it", "未签名；加 --key 即签名"}
	saySigned           = phrase{"signed as %s", "已以 %s 名义签名"}

	sayOperationUnknown = phrase{"an operation that this program does not know: do not sign it", "本程序不认识的操作：请勿签名"}
	sayOperations       = map[string]phrase{
		"key-rotate-begin":  {"a new key signs the log from now on, beside the old one", "即日起新密钥与旧密钥共同为日志签名"},
		"key-rotate-finish": {"the new key alone signs the log from now on, and the old one can be destroyed", "即日起仅由新密钥为日志签名，旧密钥可予销毁"},
		"tenant-key-rotate": {"another key keeps a tenant's documents shut", "更换保管某租户文件的密钥"},
		"recover":           {"the lost ledger is rebuilt from its copies", "用副本重建丢失的账本"},
		"approvers-set":     {"others approve from now on", "更换批准人"},
	}
)
