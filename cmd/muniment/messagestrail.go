package main

// What the command that reads the trail says.
var (
	sayTrailShort = phrase{"Who read, held or erased what, and when", "查询留痕：何人何时读取、保全、删除了什么"}
	sayTrailLong  = phrase{
		`List the events of your tenant's trail: who read which document, receipt or case, held or
erased what, when, from which address, and how it ended (an HTTP status). Deposits are not
in it: the log itself is their trail. For API keys of the role compliance.

Once a day has ended, the log commits to all of it, so that no event of it can be altered
or removed unseen.

Exit code 0: the events were listed. 2: they could not be.`,
		`列出本租户的留痕记录：何人读取了哪份文件、回执或案件，保全或删除了什么，何时、从哪个
地址、结果如何（HTTP 状态码）。存证行为本身不在其中：日志即其留痕。须使用 compliance
角色的 API 密钥。

每日结束后，日志即对当日全部记录作出承诺，其中任何一条被篡改或删除都会被发现。

退出码 0：已列出。2：未能列出。`,
	}
	sayFlagTrailDeposit  = phrase{"only what was done to this deposit, by its id", "仅列对该存证（按编号）所为"}
	sayFlagTrailContract = phrase{"only cases and searches asked for by this contract number", "仅列按该合同编号查询的案件与检索"}
	sayFlagTrailCaller   = phrase{"only what this caller did, such as key:0123456789abcdef", "仅列该调用方所为，如 key:0123456789abcdef"}
	sayFlagTrailAction   = phrase{"only events of this sort: read, receipt, document, search, case, hold, release, erasure, grant, grant-revoked, webhook, webhook-deleted, trail, key, key-revoked, tenant or export", "仅列此类记录：read、receipt、document、search、case、hold、release、erasure、grant、grant-revoked、webhook、webhook-deleted、trail、key、key-revoked、tenant 或 export"}
	sayFlagTrailFrom     = phrase{"only from this date or time on", "仅列此日期或时间起"}
	sayFlagTrailTo       = phrase{"only before this date or time", "仅列此日期或时间之前"}

	headAction  = phrase{"Action", "行为"}
	headStatus  = phrase{"Status", "状态"}
	headCaller  = phrase{"Caller", "调用方"}
	headRole    = phrase{"Role", "角色"}
	headObject  = phrase{"Of", "对象"}
	headAddress = phrase{"From", "来源"}
	headRequest = phrase{"Request", "请求编号"}
)
