import { Inspector } from "../views/inspector";
import { widget } from "../mount";

export default widget(Inspector, "Attention inspector");
