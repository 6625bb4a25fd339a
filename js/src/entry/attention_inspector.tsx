import { widget } from "../mount";
import { Inspector } from "../views/inspector";

export default widget(Inspector, "Attention inspector");
